//! A hub under attack, and somebody honest who goes on using it.

use crate::hub::{Hub, any_port};
use crate::wire_group::WireGroup;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A mebibyte in the units of `/proc`.
pub const MIB_KB: u64 = 1_024;
/// What a hub takes at rest and for a usual load, with the page cache of its store.
pub const BASE_KB: u64 = 128 * MIB_KB;
/// The pause between two of the honest user's requests.
const HONEST_PAUSE: Duration = Duration::from_millis(10);
/// The longest that an honest request may take under attack on a machine that does both.
const PATIENCE: Duration = Duration::from_secs(15);

/// What the honest user met.
pub struct Met {
    latencies: Vec<Duration>,
    refused: usize,
}

/// Somebody who sends and reads.
pub struct Honest {
    enough: Arc<AtomicBool>,
    thread: JoinHandle<(WireGroup, Met)>,
}

fn use_once(group: &mut WireGroup, address: SocketAddr, met: &mut Met) {
    let begin = Instant::now();
    let sent = group.send_until_refused(address, 1);
    met.latencies.push(begin.elapsed());
    met.refused += 1 - sent;
}

impl Honest {
    pub fn start(mut group: WireGroup, address: SocketAddr) -> Self {
        let enough = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&enough);
        let thread = std::thread::spawn(move || {
            let mut met = Met {
                latencies: Vec::new(),
                refused: 0,
            };
            while !told.load(Ordering::SeqCst) {
                use_once(&mut group, address, &mut met);
                std::thread::sleep(HONEST_PAUSE);
            }
            (group, met)
        });
        Self { enough, thread }
    }

    pub fn stop(self) -> (WireGroup, Met) {
        self.enough.store(true, Ordering::SeqCst);
        self.thread.join().unwrap()
    }
}

impl Met {
    fn quantile(&self, share: usize) -> Duration {
        let mut sorted = self.latencies.clone();
        sorted.sort_unstable();
        sorted[(sorted.len() - 1) * share / 100]
    }
}

/// A hub with an honest user's group.
pub struct Siege {
    pub hub: Hub,
    pub folder: tempfile::TempDir,
    before_kb: u64,
}

impl Siege {
    pub fn begin() -> (Self, WireGroup) {
        let folder = tempfile::tempdir().unwrap();
        let hub = Hub::free(&folder.path().join("hub"), any_port());
        let group = WireGroup::make(hub.address, 3);
        let before_kb = hub.memory_kb().0;
        let siege = Self {
            hub,
            folder,
            before_kb,
        };
        (siege, group)
    }

    /// Attacks while somebody honest uses the hub, then looks at what became of both.
    pub fn withstand(
        self,
        group: WireGroup,
        bound_kb: u64,
        attack: impl FnOnce(SocketAddr) -> String,
    ) {
        let address = self.hub.address;
        let honest = Honest::start(group, address);
        let begin = Instant::now();
        let what = attack(address);
        let lasted = begin.elapsed();
        let (mut group, met) = honest.stop();
        let (_, most_kb) = self.hub.memory_kb();
        assert!(!met.latencies.is_empty());
        assert_eq!(met.refused, 0, "an honest request was turned away");
        let worst = met.quantile(100);
        assert!(worst < PATIENCE, "an honest request took {worst:?}");
        assert!(
            most_kb < bound_kb,
            "{} MiB at most, {} are the bound",
            most_kb / MIB_KB,
            bound_kb / MIB_KB
        );
        let after = recovery(&mut group, address);
        let (status, _) = self.hub.get("/readyz");
        assert_eq!(status, 200);
        let (after_kb, _) = self.hub.memory_kb();
        println!(
            "{what} in {:.1} s; {} honest requests, median {:.0} ms, worst {:.0} ms, none turned \
             away; {} MiB before, {} at most (bound {}), {} after; then a request took {:.0} ms",
            lasted.as_secs_f64(),
            met.latencies.len(),
            met.quantile(50).as_secs_f64() * 1e3,
            worst.as_secs_f64() * 1e3,
            self.before_kb / MIB_KB,
            most_kb / MIB_KB,
            bound_kb / MIB_KB,
            after_kb / MIB_KB,
            after.as_secs_f64() * 1e3,
        );
        let (status, log) = self.hub.stop();
        assert_eq!(status.code(), Some(0), "{log}");
        assert!(!log.contains("panicked"), "{log}");
        assert!(!log.contains("ERROR"), "{log}");
    }
}

/// The median of a few requests once the attack is over.
fn recovery(group: &mut WireGroup, address: SocketAddr) -> Duration {
    let mut met = Met {
        latencies: Vec::new(),
        refused: 0,
    };
    for _ in 0..11 {
        use_once(group, address, &mut met);
    }
    assert_eq!(met.refused, 0);
    met.quantile(50)
}

/// Many at once, until each has done its part or time is up. Returns how often each did it, together.
pub fn many(threads: usize, lasting: Duration, act: impl Fn(usize, u64) + Sync) -> u64 {
    let end = Instant::now() + lasting;
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|thread| {
                let act = &act;
                scope.spawn(move || {
                    let mut done = 0;
                    while Instant::now() < end {
                        act(thread, done);
                        done += 1;
                    }
                    done
                })
            })
            .collect();
        workers
            .into_iter()
            .map(|worker| worker.join().unwrap())
            .sum()
    })
}
