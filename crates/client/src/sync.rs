//! Owns reading: streams, inboxes, and the background task that keeps a client up to date.
//!
//! Invariant: a page is processed under the stream and cursor it was asked for, or not at all; whatever
//! fails is tried again later, and one group's trouble does not hold up another.

use crate::core::{Core, StreamReading};
use crate::error::{ClientError, Result};
use crate::transport::Endpoint;
use sordino_wire::limits::{MAX_STREAM_ENTRIES, MAX_STREAM_READS};
use sordino_wire::{
    GroupId, InboxId, List, ReadStreams, RequestBody, ResponseBody, StreamPage, StreamRead,
};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// Pages read in one go before others get their turn.
const MAX_PAGES: u32 = 10_000;
/// How often what is due is looked for.
const TICK: Duration = Duration::from_millis(500);
/// The pause after something failed.
const FAILURE_PAUSE: Duration = Duration::from_secs(2);

impl Core {
    /// Reads a group's stream to its end.
    pub(crate) async fn catch_up(&self, id: GroupId) -> Result<()> {
        for _ in 0..MAX_PAGES {
            let Some(read) = self.next_read(id).await? else {
                return Ok(());
            };
            let mut pages = self.read_streams(vec![read.clone()], 0).await?;
            let page = pages.pop().ok_or(ClientError::BadAnswer)?;
            if !self.process(id, &read, &page).await? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// What to read next; nothing where the group reads no more.
    async fn next_read(&self, id: GroupId) -> Result<Option<StreamRead>> {
        self.view(id, |group, _| {
            let Some(stream_id) = group.read_stream() else {
                return Ok(None);
            };
            Ok(Some(StreamRead {
                stream_id,
                from: group.state.cursor,
                max: u16::try_from(MAX_STREAM_ENTRIES).unwrap_or(u16::MAX),
            }))
        })
        .await
    }

    async fn read_streams(&self, reads: Vec<StreamRead>, wait_s: u16) -> Result<Vec<StreamPage>> {
        let count = reads.len();
        let body = RequestBody::ReadStreams(ReadStreams {
            reads: List::new(reads)?,
            wait_s,
        });
        match self.ask(Endpoint::Streams, body, wait_s).await? {
            ResponseBody::Streams(pages) if pages.pages.len() == count => {
                Ok(pages.pages.into_vec())
            }
            ResponseBody::Rejected(sordino_wire::Reject::Unavailable { .. }) => {
                Err(ClientError::Unreachable)
            }
            ResponseBody::Rejected(reject) => Err(ClientError::Refused(reject)),
            _ => Err(ClientError::BadAnswer),
        }
    }

    async fn process(&self, id: GroupId, read: &StreamRead, page: &StreamPage) -> Result<bool> {
        let from = read.from;
        let in_place = from == 0 || (page.oldest <= from && from <= page.next);
        let empty = page.entries.is_empty() && in_place;
        if empty {
            if from == 0 {
                self.step(id, |group, _, _| {
                    group.note_beginning(read, page);
                    Ok(())
                })
                .await?;
            }
            return Ok(false);
        }
        self.step(id, |group, tools, step| {
            group.process_page(tools, step, read, page)
        })
        .await
    }

    /// One round of everything: inboxes, streams, whatever is due. The first error is returned
    /// after all groups had their turn.
    pub(crate) async fn sync_once(&self) -> Result<()> {
        let mut first_error = None;
        let mut note = |result: Result<()>| {
            if let Err(error) = result {
                first_error.get_or_insert(error);
            }
        };
        note(self.read_requests(0).await.map(|_| ()));
        for inbox in self.inboxes() {
            note(self.read_inbox(inbox, 0).await.map(|_| ()));
        }
        for group in self.groups() {
            note(self.sync_group(group).await);
        }
        note(self.tend_people().await);
        match first_error {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    async fn sync_group(&self, id: GroupId) -> Result<()> {
        self.catch_up(id).await?;
        self.tend(id).await?;
        match self.catch_up(id).await {
            // A join that did not come about is forgotten.
            Err(ClientError::NotInGroup) => Ok(()),
            outcome => outcome,
        }
    }

    /// Keeps everything up to date until it is dropped.
    pub(crate) async fn run(self: Arc<Self>) {
        tokio::join!(Arc::clone(&self).follow_groups(), self.follow_people());
    }

    async fn follow_people(&self) {
        loop {
            // What fails is still due in the next round.
            match self.tend_people().await {
                Ok(()) => tokio::select! {
                    () = self.stir.notified() => {}
                    () = tokio::time::sleep(TICK) => {}
                },
                Err(_) => tokio::time::sleep(FAILURE_PAUSE).await,
            }
        }
    }

    async fn follow_groups(self: Arc<Self>) {
        let mut tasks: JoinSet<Job> = JoinSet::new();
        let mut running: HashSet<Job> = HashSet::new();
        loop {
            for job in self.jobs() {
                if running.insert(job.clone()) {
                    let core = Arc::clone(&self);
                    tasks.spawn(core.do_job(job));
                }
            }
            tokio::select! {
                Some(done) = tasks.join_next() => {
                    if let Ok(job) = done {
                        running.remove(&job);
                    }
                }
                () = self.wake.notified() => {
                    // A stream moved on, or there is a new one: waiting reads are about the past.
                    tasks.abort_all();
                    while tasks.join_next().await.is_some() {}
                    running.clear();
                }
                () = tokio::time::sleep(TICK) => {}
            }
            for group in self.groups() {
                // What fails is still due in the next round.
                let _ = self.tend(group).await;
            }
        }
    }

    fn jobs(&self) -> Vec<Job> {
        let groups = self.groups();
        let chunk = match self.reading {
            StreamReading::Together => MAX_STREAM_READS,
            StreamReading::Separate => 1,
        };
        let streams = groups.chunks(chunk).map(|some| Job::Streams(some.to_vec()));
        let inboxes = self.inboxes().into_iter().map(Job::Inbox);
        let requests = std::iter::once(Job::ConnectionRequests);
        streams.chain(inboxes).chain(requests).collect()
    }

    async fn do_job(self: Arc<Self>, job: Job) -> Job {
        let result = match &job {
            Job::Streams(groups) => self.wait_for_streams(groups).await,
            Job::Inbox(inbox) => self.wait_for_inbox(*inbox).await,
            Job::ConnectionRequests => self.read_requests(self.wait_s).await.map(|_| ()),
        };
        if result.is_err() {
            tokio::time::sleep(FAILURE_PAUSE).await;
        }
        job
    }

    async fn wait_for_inbox(&self, inbox: InboxId) -> Result<()> {
        self.read_inbox(inbox, self.wait_s).await.map(|_| ())
    }

    async fn wait_for_streams(&self, groups: &[GroupId]) -> Result<()> {
        let mut places = Vec::new();
        let mut reads = Vec::new();
        for id in groups {
            if let Some(read) = self.next_read(*id).await? {
                places.push(*id);
                reads.push(read);
            }
        }
        if reads.is_empty() {
            tokio::time::sleep(FAILURE_PAUSE).await;
            return Ok(());
        }
        let pages = self.read_streams(reads.clone(), self.wait_s).await?;
        for ((id, read), page) in places.into_iter().zip(&reads).zip(&pages) {
            self.process(id, read, page).await?;
        }
        Ok(())
    }
}

/// Something that is waited for at the hub.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Job {
    Streams(Vec<GroupId>),
    Inbox(InboxId),
    ConnectionRequests,
}
