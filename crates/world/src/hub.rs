//! Owns the hub: the real one, on a disk that fails, in a process that dies.
//!
//! Invariant: nothing reaches it but through [`Hub::handle`], which watches what it answers and
//! whether it wrote; what it says once its disk has failed reaches nobody.

use crate::chance::Chance;
use crate::clock::WorldClock;
use crate::figures::Counts;
use crate::ledger::{Ledger, Reading};
use crate::till::Till;
use crate::violation::Violation;
use crate::wait::wait;
use sordino_server::{DomainChoice, HttpAnswer, InProcess, KeyPlace, Registration, ServerConfig};
use sordino_store::conformance::volatile::{Crash, Disk, Fault};
use sordino_store::{RedbOptions, RedbStore};
use sordino_wire::limits::{MAX_STREAM_ENTRIES, MAX_STREAM_READS};
use sordino_wire::{
    AccountRequest, AccountResponse, AccountResponseBody, Authentication, Domain, DsRequest,
    DsResponse, List, ReadStreams, Reject, RequestBody, ResponseBody, StreamRead, media,
};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

/// Days that entries are kept: few, so that absences are longer.
pub(crate) const STREAM_ENTRY_DAYS: u32 = 7;
/// Days without a commit after which a device is proposed for removal: the least that a server takes.
const INACTIVE_DAYS: u32 = 30;
/// Tokens for what users do here, at standard prices: few, since each is a second of arithmetic for
/// thousands of worlds.
const WRITE_PER_WEEK: usize = 24;
const CONTACT_PER_WEEK: usize = 6;
/// More than any world fills: what a read pushes out of the cache would look like a write of its.
const CACHE_BYTES: usize = 1 << 26;
/// A disk dies within so many operations, or the request is done before.
const FAULT_WITHIN: u64 = 24;
/// Requests that a hub answers at most once its disk is dead.
const ZOMBIE_REQUESTS: u64 = 3;

/// The hub and all that it stands on.
pub(crate) struct Hub {
    config: ServerConfig,
    domain: Domain,
    clock: WorldClock,
    chance: Chance,
    disk: Disk,
    process: Option<InProcess>,
    /// Requests that the process lives on for, its disk being dead.
    zombie: Option<u64>,
    pub(crate) ledger: Ledger,
    pub(crate) till: Till,
    pub(crate) faults: Counts,
    pub(crate) faulty: bool,
    /// The first rule that was broken.
    pub(crate) violation: Option<Violation>,
    /// Requests and refusals.
    pub(crate) requests: u64,
    pub(crate) refused: u64,
}

/// The hub's keys are in a folder, as they are in a server's.
fn write_operator_key(path: &Path, key: &[u8; 32]) -> std::io::Result<()> {
    use std::io::Write as _;
    let mut options = std::fs::OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(hex::encode(key).as_bytes())
}

impl Hub {
    /// A new hub.
    pub(crate) fn start(
        folder: &Path,
        domain: &Domain,
        clock: &WorldClock,
        mut chance: Chance,
    ) -> Result<Self, Violation> {
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let choice = DomainChoice::Named(domain.clone());
        let mut config = ServerConfig::new(choice, listen, folder.join("hub"));
        let key = folder.join("operator.key");
        write_operator_key(&key, &chance.bytes())
            .map_err(|e| Violation::DoesNotStart { why: e.to_string() })?;
        config.operator_key = KeyPlace::File(key);
        config.registration = Registration::ProofOfWork { difficulty_bits: 1 };
        config.stream_entry_days = STREAM_ENTRY_DAYS;
        config.inactive_days = INACTIVE_DAYS;
        config.clock = Arc::new(clock.clone());
        config.tokens.write_per_week = WRITE_PER_WEEK;
        config.tokens.contact_per_week = CONTACT_PER_WEEK;
        let mut hub = Self {
            config,
            domain: domain.clone(),
            clock: clock.clone(),
            chance,
            disk: Disk::new(Fault::Never),
            process: None,
            zombie: None,
            ledger: Ledger::new(domain.clone()),
            till: Till::default(),
            faults: Counts::default(),
            faulty: false,
            violation: None,
            requests: 0,
            refused: 0,
        };
        hub.boot()?;
        Ok(hub)
    }

    fn boot(&mut self) -> Result<(), Violation> {
        let refused = |why: String| Violation::DoesNotStart { why };
        let options = RedbOptions {
            cache_bytes: CACHE_BYTES,
            ..RedbOptions::default()
        };
        let store = RedbStore::with_backend(self.disk.clone(), options);
        let store = store.map_err(|e| refused(e.to_string()))?;
        let started = wait(InProcess::start(&self.config, &self.domain, store));
        self.process = Some(started.map_err(|e| refused(e.to_string()))?);
        self.zombie = None;
        Ok(())
    }

    /// The power goes and comes back: what was not synced is lost in part.
    pub(crate) fn crash(&mut self) -> Result<(), Violation> {
        let seed = self.chance.number();
        let crash = match seed % 4 {
            0 => Crash::LoseAll,
            1 => Crash::KeepAll,
            _ => Crash::Tear(seed),
        };
        let disk = self.disk.crash(crash, Fault::Never);
        self.process = None;
        self.disk = disk;
        self.faults.add("hub crashes");
        self.boot()?;
        // Everything that was read before must still be there.
        let readings = self.ledger.all();
        self.read(readings)
    }

    /// Answers a request as it arrives. `None`: the connection breaks.
    pub(crate) fn handle(&mut self, path: &str, body: Option<&[u8]>) -> Option<HttpAnswer> {
        if self.violation.is_some() {
            return None;
        }
        match self.try_handle(path, body) {
            Ok(answer) => answer,
            Err(violation) => {
                self.violation = Some(violation);
                None
            }
        }
    }

    fn try_handle(
        &mut self,
        path: &str,
        body: Option<&[u8]>,
    ) -> Result<Option<HttpAnswer>, Violation> {
        self.clock.follow();
        self.requests = self.requests.saturating_add(1);
        if self.faulty && self.zombie.is_none() && self.chance.per_mille(12) {
            let at = self.chance.below(FAULT_WITHIN);
            self.disk.set_fault(Fault::From(at));
        }
        let before = self.disk.activity();
        let Some(process) = &self.process else {
            return Ok(None);
        };
        let answer = wait(process.answer(path, body.map(<[u8]>::to_vec)));
        let wrote = self.disk.activity() != before;
        let dead = self.disk.failed();
        let judged = self.judge(path, body.unwrap_or_default(), &answer, wrote, dead);
        judged.map_err(|violation| match violation {
            Violation::RefusedAndWrote { what } => {
                let operations = self.disk.activity().saturating_sub(before);
                let asked = body.and_then(|body| DsRequest::parse(body).ok());
                let asked = asked.map(|parsed| format!("{:?}", parsed.request.body));
                let asked: String = asked.unwrap_or_default().chars().take(40).collect();
                let what = format!("{what}, {operations} operations of the disk for {asked}");
                Violation::RefusedAndWrote { what }
            }
            other => other,
        })?;
        if dead {
            return self.die(answer);
        }
        self.disk.set_fault(Fault::Never);
        Ok(Some(answer))
    }

    /// The disk is dead. The process goes with it, now or some requests later.
    fn die(&mut self, answer: HttpAnswer) -> Result<Option<HttpAnswer>, Violation> {
        let left = match self.zombie {
            Some(left) => left,
            None => {
                self.faults.add("disk failures");
                self.chance.below(ZOMBIE_REQUESTS)
            }
        };
        if left == 0 {
            self.crash()?;
            return Ok(None);
        }
        self.zombie = Some(left.saturating_sub(1));
        Ok(Some(answer))
    }

    fn judge(
        &mut self,
        path: &str,
        request: &[u8],
        answer: &HttpAnswer,
        wrote: bool,
        dead: bool,
    ) -> Result<(), Violation> {
        let accounts = path == media::ACCOUNTS || path == media::CONNECTION_REQUEST;
        if accounts {
            return self.judge_account(request, answer, wrote, dead);
        }
        let Ok(parsed) = DsRequest::parse(request) else {
            return Ok(());
        };
        let body_bytes = parsed.body_bytes;
        let (body, tokens) = (parsed.request.body, parsed.request.tokens);
        self.ledger.asked(&body);
        let Ok(answer) = DsResponse::parse(&answer.body) else {
            let what = format!("HTTP {}", answer.status);
            return match wrote && !dead {
                true => Err(Violation::RefusedAndWrote { what }),
                false => Ok(()),
            };
        };
        if dead
            && wrote
            && let ResponseBody::Done(outcome) = &answer.body
        {
            let what = format!("{outcome:?}");
            return Err(Violation::AcknowledgedOnDeadDisk { what });
        }
        if let ResponseBody::Rejected(reject) = &answer.body {
            self.refused = self.refused.saturating_add(1);
            if dead && matches!(reject, Reject::Unavailable { .. }) {
                return Ok(());
            }
        } else if !dead {
            self.till.sold(&tokens, body_bytes)?;
        }
        self.ledger.answered(&body, &answer.body, wrote && !dead)
    }

    fn judge_account(
        &mut self,
        request: &[u8],
        answer: &HttpAnswer,
        wrote: bool,
        dead: bool,
    ) -> Result<(), Violation> {
        let Ok(answer) = AccountResponse::parse(&answer.body) else {
            return Ok(());
        };
        if let AccountResponseBody::Rejected(reject) = answer.body {
            self.refused = self.refused.saturating_add(1);
            if wrote && !dead {
                let what = format!("{reject:?}");
                return Err(Violation::RefusedAndWrote { what });
            }
            return Ok(());
        }
        match AccountRequest::parse(request) {
            Ok(parsed) if !dead => self.till.sold(&parsed.request.tokens, parsed.body_bytes),
            _ => Ok(()),
        }
    }

    /// Reads what is new in all streams, and closes the book.
    pub(crate) fn audit(&mut self) -> Result<(), Violation> {
        if let Some(violation) = &self.violation {
            return Err(violation.clone());
        }
        if self.zombie.is_some() || self.disk.failed() {
            self.crash()?;
        }
        let readings = self.ledger.latest();
        self.read(readings)?;
        self.ledger.balance()
    }

    /// Reads streams to their ends, and those that follow them.
    fn read(&mut self, mut readings: Vec<Reading>) -> Result<(), Violation> {
        while !readings.is_empty() {
            let mut unfinished = Vec::new();
            for some in readings.chunks(MAX_STREAM_READS) {
                let pages = self.pages(some)?;
                for (reading, page) in some.iter().zip(&pages) {
                    if self.ledger.page(*reading, page)? {
                        unfinished.push(reading.group);
                    }
                }
            }
            readings = self.ledger.latest();
            readings.retain(|reading| unfinished.contains(&reading.group));
        }
        Ok(())
    }

    fn pages(&mut self, readings: &[Reading]) -> Result<Vec<sordino_wire::StreamPage>, Violation> {
        let unanswered = |why: &str| Violation::DoesNotStart {
            why: format!("streams are not read: {why}"),
        };
        let reads = readings.iter().map(|reading| StreamRead {
            stream_id: reading.stream,
            from: reading.from,
            max: u16::try_from(MAX_STREAM_ENTRIES).unwrap_or(u16::MAX),
        });
        let reads = List::new(reads.collect::<Vec<_>>()).map_err(|_| unanswered("bounds"))?;
        let body = RequestBody::ReadStreams(ReadStreams { reads, wait_s: 0 });
        let request = DsRequest::free(body, Authentication::Possession);
        let bytes = request.encode().map_err(|_| unanswered("encoding"))?;
        self.clock.follow();
        let process = self.process.as_ref().ok_or(unanswered("no process"))?;
        let answer = wait(process.answer(media::STREAMS, Some(bytes)));
        match DsResponse::parse(&answer.body).map(|response| response.body) {
            Ok(ResponseBody::Streams(pages)) => Ok(pages.pages.into_vec()),
            other => Err(unanswered(&format!("{other:?}"))),
        }
    }

    /// One round of the hub's upkeep.
    pub(crate) fn upkeep(&mut self) -> Result<(), Violation> {
        self.clock.follow();
        let Some(process) = &self.process else {
            return Ok(());
        };
        match wait(process.run_maintenance()) {
            Ok(report) => {
                let rows = u64::try_from(report.expired_rows).unwrap_or(u64::MAX);
                self.faults.add_many("expired rows", rows);
                Ok(())
            }
            Err(_) if self.disk.failed() || self.zombie.is_some() => Ok(()),
            Err(error) => Err(Violation::DoesNotStart {
                why: format!("upkeep: {error}"),
            }),
        }
    }

    /// All that is stored.
    pub(crate) fn image(&self) -> Vec<u8> {
        self.disk.image()
    }
}
