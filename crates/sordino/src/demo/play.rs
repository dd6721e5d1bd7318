//! Owns the play: four acts of talking, membership changes between them, a killed hub in the third.

use super::cast::{Cast, persist};
use super::check::Needles;
use super::hub_process::HubProcess;
use super::room::{Kind, Room};
use super::scenes;
use super::table::Times;
use super::thief::Needle;
use super::{Arguments, DemoError, Verdict};
use indicatif::ProgressBar;
use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore as _, SeedableRng as _};
use sordino_client::{ClientError, Domain, HubAddress};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Acts of talking.
const ACTS: usize = 4;
/// The act in which the hub is killed.
const KILL_ACT: usize = 2;
/// Messages on their way at once.
const IN_FLIGHT: usize = 16;
/// How long the hub stays away.
const AWAY: Duration = Duration::from_millis(700);

/// What a play leaves behind.
pub(crate) struct Played {
    /// What held.
    pub(crate) verdict: Verdict,
    /// How long things took.
    pub(crate) times: Arc<Times>,
    /// What must not be found.
    pub(crate) needles: Vec<Needle>,
}

/// Draws by lot, the same for the same seed.
pub(crate) struct Lot(ChaCha20Rng);

impl Lot {
    /// A number below `bound`; 0 for 0.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound).unwrap_or(u64::MAX).max(1);
        usize::try_from(self.0.next_u64() % bound).unwrap_or_default()
    }

    /// `count` different numbers below `bound`.
    fn some_of(&mut self, bound: usize, count: usize) -> Vec<usize> {
        let mut all: Vec<usize> = (0..bound).collect();
        let mut some = Vec::new();
        while some.len() < count && !all.is_empty() {
            some.push(all.swap_remove(self.below(all.len())));
        }
        some
    }
}

/// One message to be sent.
struct Line {
    room: usize,
    device: usize,
    text: Vec<u8>,
}

/// Plays everything.
pub(crate) async fn play(
    arguments: &Arguments,
    folder: &Path,
    hub: &mut HubProcess,
    bar: &ProgressBar,
) -> Result<Played, DemoError> {
    let mut lot = Lot(ChaCha20Rng::seed_from_u64(arguments.seed));
    let times = Arc::new(Times::default());
    let mut needles = Needles::new();
    bar.set_message("making users and devices");
    let address = address_of(hub)?;
    let users = usize::from(arguments.users);
    let cast = Arc::new(Cast::make(users, &address, folder, arguments.seed, &times).await?);
    bar.set_message("making groups");
    let mut rooms = open_rooms(arguments, &cast, &times, &mut lot).await?;
    needles.gather(&cast).await?;

    let mut said = 0;
    for act in 0..ACTS {
        if act > 0 {
            bar.set_message("people come and go");
            rooms = scenes::change_all(&cast, &times, rooms, act).await?;
            needles.gather(&cast).await?;
        }
        bar.set_message("talking");
        let share = usize::try_from(arguments.messages).unwrap_or(usize::MAX) / ACTS;
        let rest = usize::try_from(arguments.messages).unwrap_or(usize::MAX) - said;
        let count = if act + 1 == ACTS { rest } else { share };
        let lines = write_lines(&mut rooms, &mut lot, count, said);
        said += count;
        let hub = (act == KILL_ACT).then_some(&mut *hub);
        say(&cast, &times, &rooms, lines, hub, bar).await?;
        bar.set_message("everybody reads");
        for room in &rooms {
            room.rest(&cast).await?;
        }
    }
    needles.gather(&cast).await?;

    let mut verdict = Verdict::default();
    for room in &rooms {
        room.judge(&cast, &mut verdict).await?;
    }
    Ok(Played {
        verdict,
        times,
        needles: needles.finish(&rooms),
    })
}

fn address_of(hub: &HubProcess) -> Result<HubAddress, DemoError> {
    let address = hub.address().to_string();
    let domain = Domain::new(address.clone()).map_err(|_| DemoError::Client {
        what: "naming the hub",
        source: ClientError::OutOfBounds,
    })?;
    Ok(HubAddress {
        url: format!("http://{address}"),
        domain,
    })
}

async fn open_rooms(
    arguments: &Arguments,
    cast: &Arc<Cast>,
    times: &Arc<Times>,
    lot: &mut Lot,
) -> Result<Vec<Room>, DemoError> {
    let kinds = [Kind::Closed, Kind::Invite, Kind::Open, Kind::Connection];
    let mut tasks = JoinSet::new();
    for number in 0..usize::from(arguments.groups) {
        let kind = kinds
            .get(number % kinds.len())
            .copied()
            .unwrap_or(Kind::Closed);
        let most = cast.users.len().min(6);
        let count = match kind {
            Kind::Connection => 2,
            _ => most.min(3 + lot.below(4)),
        };
        let users = lot.some_of(cast.users.len(), count);
        tasks.spawn(scenes::open(
            Arc::clone(cast),
            Arc::clone(times),
            number,
            kind,
            users,
        ));
    }
    gather(tasks).await
}

/// The rooms that tasks bring back, in their order.
pub(crate) async fn gather(
    mut tasks: JoinSet<Result<Room, DemoError>>,
) -> Result<Vec<Room>, DemoError> {
    let mut rooms = Vec::new();
    while let Some(done) = tasks.join_next().await {
        let room = done.map_err(|_| DemoError::Restless("a task".to_owned()))?;
        rooms.push(room?);
    }
    rooms.sort_by_key(|room| room.number);
    Ok(rooms)
}

fn write_lines(rooms: &mut [Room], lot: &mut Lot, count: usize, first: usize) -> Vec<Line> {
    for room in rooms.iter_mut() {
        room.begin_act();
    }
    let mut lines = Vec::new();
    for number in first..first + count {
        let index = lot.below(rooms.len());
        let Some(room) = rooms.get_mut(index) else {
            continue;
        };
        let devices: Vec<usize> = room.devices.iter().copied().collect();
        let Some(device) = devices.get(lot.below(devices.len())).copied() else {
            continue;
        };
        let text = format!(
            "Message {number} of the play, said in group {}.",
            room.number
        );
        room.note(text.clone().into_bytes());
        lines.push(Line {
            room: index,
            device,
            text: text.into_bytes(),
        });
    }
    lines
}

/// Says all lines, some at once; kills and restarts the hub half-way where one is given.
async fn say(
    cast: &Arc<Cast>,
    times: &Arc<Times>,
    rooms: &[Room],
    lines: Vec<Line>,
    mut hub: Option<&mut HubProcess>,
    bar: &ProgressBar,
) -> Result<(), DemoError> {
    let places = Arc::new(Semaphore::new(IN_FLIGHT));
    let mut tasks: JoinSet<Result<(), DemoError>> = JoinSet::new();
    let half = lines.len() / 2;
    for (index, line) in lines.into_iter().enumerate() {
        if index == half
            && let Some(hub) = hub.take()
        {
            bar.set_message("the hub is killed");
            hub.kill()?;
            tokio::time::sleep(AWAY).await;
            hub.restart()?;
            bar.set_message("talking");
        }
        let Some(room) = rooms.get(line.room) else {
            continue;
        };
        let id = room.id;
        let place = Arc::clone(&places).acquire_owned().await;
        let (cast, times, bar) = (Arc::clone(cast), Arc::clone(times), bar.clone());
        tasks.spawn(async move {
            let _place = place;
            let group = cast.group(line.device, id).await?;
            send(&times, &group, &line.text).await?;
            bar.inc(1);
            Ok(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.map_err(|_| DemoError::Restless("a task".to_owned()))??;
    }
    Ok(())
}

/// Sends a message. What could not reach the hub stays in the client's outbox, and goes.
async fn send(times: &Times, group: &sordino_client::Group, text: &[u8]) -> Result<(), DemoError> {
    let sent = persist("sending", || async {
        match times.timed("send message", group.send(text)).await {
            Err(ClientError::Unreachable) => Ok(()),
            other => other,
        }
    });
    sent.await
}
