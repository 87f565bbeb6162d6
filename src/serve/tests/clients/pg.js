// Asks as programs over npm `pg` do; prints `done`, or fails where something is not as it should be.
// The door, the user and the token are in the environment.
const assert = require('node:assert');
const { Client, Pool } = require('pg');

const payments = 'current.payments';

async function values(db) {
  const count = async (condition, ...values) => {
    const answer = await db.query(`select count(*) as n from ${payments} where ${condition}`, values);
    return answer.rows[0].n;
  };
  assert.strictEqual(await count('fee >= $1', 240), '10');
  assert.strictEqual(await count('fee >= $1', 240.2501), '9');
  assert.strictEqual(await count('fee >= $1', '240.25'), '10');
  assert.strictEqual(await count('paid >= $1', new Date('2018-01-11T00:00:00Z')), '10');
  assert.strictEqual(await count('paid >= $1', '2018-01-11'), '10');
  assert.strictEqual(await count('day >= $1', '2018-01-11'), '10');
  assert.strictEqual(await count('done = $1', true), '125');
  assert.strictEqual(await count('note = $1 or $2::text is null', null, null), '250');
  assert.strictEqual(await count('id = any($1)', ['P001', 'P002', 'none']), '2');
  assert.strictEqual(await count('not (id <> all($1))', ['P001', 'P002', 'none']), '2');
  assert.strictEqual(await count('id = any($1::text[])', ['P003']), '1');
  assert.strictEqual(await count('note like $1', '备注1%'), '75');

  const row = await db.query(`select id, paid, fee, done, note from ${payments} where id = $1`, ['P003']);
  assert.deepStrictEqual(row.rows, [
    { id: 'P003', paid: new Date('2018-01-01T03:00:00Z'), fee: '3.25', done: true, note: null },
  ]);
  assert.strictEqual(row.rowCount, 1);
  assert.deepStrictEqual(row.fields.map((field) => field.name), ['id', 'paid', 'fee', 'done', 'note']);
  const list = await db.query({
    text: `select id, done from ${payments} order by id limit $1 offset $2`,
    values: [2, 5],
    rowMode: 'array',
  });
  assert.deepStrictEqual(list.rows, [['P005', true], ['P006', false]]);
  const told = await db.query('select $1 as word, $2::int + 1 as next, null as nothing', ['词', 1]);
  assert.deepStrictEqual(told.rows, [{ word: '词', next: '2', nothing: null }]);
  for (const fee of [1, 2, 3]) {
    const prepared = { name: 'cheap', text: `select count(*) as n from ${payments} where fee < $1` };
    const answer = await db.query({ ...prepared, values: [fee] });
    assert.strictEqual(answer.rows[0].n, String(fee));
  }
}

async function errors(db) {
  for (const [sql, code] of [
    [`select nothing from ${payments}`, '42703'],
    ['select 1 from nowhere', '42P01'],
    ['select nothing(1)', '42883'],
    ['selec 1', '42601'],
    [`delete from ${payments}`, '25006'],
    ['listen changes', '25006'],
  ]) {
    for (const values of [undefined, []]) {
      await assert.rejects(db.query({ text: sql, values }), (error) => error.code === code, sql);
      assert.strictEqual((await db.query('select 1 as n')).rows.length, 1, sql);
    }
  }
  await db.query('begin');
  await db.query('savepoint a');
  await assert.rejects(db.query('select 1 from nowhere'), { code: '42P01' });
  await assert.rejects(db.query('select 1'), { code: '25P02' });
  await db.query('rollback to savepoint a');
  assert.strictEqual((await db.query(`select count(*) as n from ${payments}`)).rows[0].n, '250');
  await db.query('release savepoint a');
  await db.query('commit');
}

(async () => {
  const db = new Client();
  await db.connect();
  await values(db);
  await errors(db);
  const several = await db.query('select 1 as n; select 2 as n');
  assert.strictEqual(several.length, 2);
  await db.end();

  const pool = new Pool({ max: 2, options: '-c search_path=current' });
  const counted = await Promise.all([1, 2].map(() => pool.query('select count(*) as n from payments')));
  assert.deepStrictEqual(counted.map((answer) => answer.rows[0].n), ['250', '250']);
  await pool.end();
  console.log('done');
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
