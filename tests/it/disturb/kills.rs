//! `kill -9` at random moments of every kind of work. `HUILIU_KILLS` says how many in all; see
//! `benches/kills.sh`.

use std::time::{Duration, Instant};

use super::chance::Chance;
use super::expected::SMALL_FILES;
use super::oracle::none;
use super::town::{EVERYTHING, Town};

/// Kinds of work, which share the kills.
const KINDS: usize = 5;
/// Kills in all unless `HUILIU_KILLS` says otherwise.
const KILLS: usize = 100;
/// Rows of the sources.
const ROWS: usize = 400;
/// After so many kills all files are looked at.
const LOOK_EVERY: usize = 10;

fn kills_of_one_kind() -> usize {
    let given = std::env::var_os("HUILIU_KILLS").and_then(|text| text.to_str()?.parse().ok());
    given.unwrap_or(KILLS).div_ceil(KINDS)
}

/// One kind of work.
struct Kind {
    name: &'static str,
    seed: u64,
    /// The command that is killed.
    work: &'static [&'static str],
    /// The command that has to end well afterwards.
    recovery: &'static [&'static str],
    /// Whether each kill meets a hub that has never read anything.
    fresh: bool,
    /// Whether the work is about what the lake has.
    is_upkeep: bool,
}

impl Kind {
    /// A town in which the work has something to do.
    async fn town(&self, chance: Chance) -> Town {
        let mut town = Town::new(ROWS, chance).await;
        if !self.fresh {
            none(&town.recover(EVERYTHING).await, "before the first kill");
            self.prepare(&mut town).await;
        }
        town
    }

    async fn prepare(&self, town: &mut Town) {
        if self.is_upkeep {
            // Files are to be joined every other time.
            town.change_and_read(SMALL_FILES / 2).await;
        } else {
            town.change().await;
        }
    }

    /// How long the work takes when nobody disturbs it.
    async fn duration(&self, chance: Chance) -> Duration {
        let town = self.town(chance).await;
        let began = Instant::now();
        town.run(self.work, None).await.expect(0);
        began.elapsed()
    }

    /// Kills the work at moments that the seed chooses, once or twice in a row, and compares.
    async fn survives(self) {
        let wanted = kills_of_one_kind();
        let chance = Chance::new(self.seed, self.name);
        let duration = self.duration(chance.part(0)).await;
        println!("{}: {wanted} kills within {duration:?}", self.name);
        let mut moments = chance.part(1);
        let mut town = self.town(chance.part(2)).await;
        let (mut kills, mut looked) = (0, 0);
        let began = Instant::now();
        while kills < wanted {
            for _ in 0..=moments.below(2) {
                // The start is the same whatever follows, so half of the moments are behind it.
                let from = if moments.once_in(2) { duration / 3 } else { Duration::ZERO };
                let moment = moments.moment(from, duration);
                if kills == wanted || !town.kill(self.work, moment).await {
                    break;
                }
                kills += 1;
                let when = format!("{} killed after {moment:?}, kill {kills}", self.name);
                none(&town.all_or_nothing().await, &when);
            }
            let when = format!("{} after kill {kills}", self.name);
            none(&town.recover(self.recovery).await, &when);
            if kills >= looked + LOOK_EVERY {
                looked = kills;
                none(&town.doctor().await, &when);
            }
            if self.fresh {
                town = self.town(chance.part(2 + u64::try_from(kills).unwrap())).await;
            } else {
                self.prepare(&mut town).await;
            }
        }
        println!("{}: {kills} kills in {:?}", self.name, began.elapsed());
    }
}

#[tokio::test]
async fn a_first_read_survives_kills() {
    let name = "first read";
    let (work, recovery) = (EVERYTHING, EVERYTHING);
    Kind { name, seed: 101, work, recovery, fresh: true, is_upkeep: false }.survives().await;
}

#[tokio::test]
async fn an_incremental_read_survives_kills() {
    let (name, work) = ("upsert", &["run", "office.cases"]);
    let recovery = EVERYTHING;
    Kind { name, seed: 102, work, recovery, fresh: false, is_upkeep: false }.survives().await;
}

#[tokio::test]
async fn a_replacement_survives_kills() {
    let (name, work) = ("replace", &["run", "office.plan"]);
    let recovery = EVERYTHING;
    Kind { name, seed: 103, work, recovery, fresh: false, is_upkeep: false }.survives().await;
}

#[tokio::test]
async fn a_push_survives_kills() {
    let (name, work) = ("push", &["run", "+push.*"]);
    let recovery = EVERYTHING;
    Kind { name, seed: 104, work, recovery, fresh: false, is_upkeep: false }.survives().await;
}

#[tokio::test]
async fn maintenance_survives_kills() {
    let (name, work) = ("maintenance", &["maintain"]);
    Kind { name, seed: 105, work, recovery: work, fresh: false, is_upkeep: true }.survives().await;
}
