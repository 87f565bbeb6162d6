//! A line between the hub and a system that breaks when a test wants it to.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What the line does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Break {
    /// It ends as if both sides had hung up.
    Cut,
    /// It says nothing any more, and stays open.
    Stall,
    /// It goes on, a few bytes at a time.
    Slow,
    /// It ends with a reset.
    Reset,
}

pub(crate) const BREAKS: [Break; 4] = [Break::Cut, Break::Stall, Break::Slow, Break::Reset];

/// When it does that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    /// As soon as the hub connects.
    Connected,
    /// In the middle of the answers, after so many bytes of them.
    Answered(usize),
    /// When the hub has said this, before the system hears it.
    Said(&'static str),
    /// When the system has answered with this, before the hub hears it.
    Heard(&'static str),
}

/// Bytes a slow line carries at once.
const SLOW_BYTES: usize = 512;
/// How often a slow line carries some.
const SLOW_TICK: Duration = Duration::from_millis(5);

#[derive(Default)]
struct Plan {
    next: Option<(Break, When)>,
    broken: usize,
}

impl Plan {
    /// Takes the break that is planned for this moment.
    fn strike(&mut self, now: impl Fn(When) -> bool) -> Option<Break> {
        let (kind, _) = self.next.filter(|(_, when)| now(*when))?;
        self.next = None;
        self.broken += 1;
        Some(kind)
    }
}

/// The line. It ends with the test's runtime.
pub(crate) struct Line {
    pub(crate) port: u16,
    plan: Arc<Mutex<Plan>>,
}

impl Line {
    /// A line to `address`, which is whole so far.
    pub(crate) async fn to(address: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let plan: Arc<Mutex<Plan>> = Arc::default();
        let (shared, address) = (Arc::clone(&plan), address.to_owned());
        tokio::spawn(async move {
            loop {
                let (hub, _) = listener.accept().await.unwrap();
                let system = TcpStream::connect(&address).await.unwrap();
                hub.set_nodelay(true).unwrap();
                system.set_nodelay(true).unwrap();
                let wire = Wire { hub, system, plan: Arc::clone(&shared) };
                tokio::spawn(wire.carry());
            }
        });
        Self { port, plan }
    }

    /// The next time `when` comes, the line does `kind`, once.
    pub(crate) fn plan(&self, kind: Break, when: When) {
        self.plan.lock().unwrap().next = Some((kind, when));
    }

    /// How often it broke; nothing is planned any more.
    pub(crate) fn broken(&self) -> usize {
        let mut plan = self.plan.lock().unwrap();
        plan.next = None;
        std::mem::take(&mut plan.broken)
    }
}

/// One connection through the line.
struct Wire {
    hub: TcpStream,
    system: TcpStream,
    plan: Arc<Mutex<Plan>>,
}

impl Wire {
    fn strike(&self, now: impl Fn(When) -> bool) -> Option<Break> {
        self.plan.lock().unwrap().strike(now)
    }

    async fn carry(mut self) {
        let (mut question, mut answer) = (vec![0; 1 << 16], vec![0; 1 << 16]);
        let (mut answered, mut is_slow) = (0, false);
        match self.strike(|when| when == When::Connected) {
            Some(Break::Slow) => is_slow = true,
            Some(kind) => return self.break_with(kind).await,
            None => {}
        }
        loop {
            let (size, is_answer) = tokio::select! {
                read = self.hub.read(&mut question) => (read.unwrap_or(0), false),
                read = self.system.read(&mut answer) => (read.unwrap_or(0), true),
            };
            if size == 0 {
                return;
            }
            let carried = if is_answer { &answer[..size] } else { &question[..size] };
            answered += if is_answer { size } else { 0 };
            let kind = self.strike(|when| match when {
                When::Connected => false,
                When::Answered(bytes) => is_answer && answered > bytes,
                When::Said(word) => !is_answer && has(carried, word),
                When::Heard(word) => is_answer && has(carried, word),
            });
            match kind {
                Some(Break::Slow) => is_slow = true,
                Some(kind) => return self.break_with(kind).await,
                None => {}
            }
            let sent = match (is_answer, is_slow) {
                (true, true) => slowly(&mut self.hub, carried).await,
                (true, false) => self.hub.write_all(carried).await,
                (false, _) => self.system.write_all(carried).await,
            };
            if sent.is_err() {
                return;
            }
        }
    }

    async fn break_with(mut self, kind: Break) {
        match kind {
            Break::Cut | Break::Slow => {}
            Break::Reset => {
                self.hub.set_zero_linger().unwrap();
                self.system.set_zero_linger().unwrap();
            }
            Break::Stall => {
                // Whatever the hub still says is taken and goes nowhere.
                let mut nothing = vec![0; 1 << 16];
                while let Ok(1..) = self.hub.read(&mut nothing).await {}
            }
        }
    }
}

fn has(bytes: &[u8], word: &str) -> bool {
    bytes.windows(word.len()).any(|window| window.eq_ignore_ascii_case(word.as_bytes()))
}

async fn slowly(to: &mut TcpStream, bytes: &[u8]) -> std::io::Result<()> {
    let mut ticks = tokio::time::interval(SLOW_TICK);
    for piece in bytes.chunks(SLOW_BYTES) {
        ticks.tick().await;
        to.write_all(piece).await?;
    }
    Ok(())
}
