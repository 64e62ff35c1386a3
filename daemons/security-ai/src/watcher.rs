//! The thread that takes events: it sleeps until the kernel has some or the daemon wants something, takes a bounded
//! number at a time, and passes alerts and losses on. When nobody takes the alerts it waits, and what the kernel
//! then can't deliver is counted as lost: nothing vanishes uncounted.

use crate::alert::Alert;
use crate::answers::Answers;
use crate::budget::Usage;
use crate::care::Care;
use crate::clock::boot_time;
use crate::detector::{Detector, Ruling};
use crate::follower::{self, Follower, Said};
use crate::looks::{Looks, Turn};
use crate::message::Message;
use crate::names::Names;
use crate::recorder;
use crate::source::{Counters, EventSource};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use quantumos_ebpf::{Class, Coverage, Denial, Event, Watch};
use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc as async_mpsc, oneshot};

/// The most events of a class taken at a time.
const BATCH: usize = 256;
/// How soon after an event losses are looked for. An idle host is not woken.
const CHECK: Duration = Duration::from_secs(1);

/// What the daemon wants of the thread.
pub enum Command {
    /// Go on with these rules and these watched files; says what the kernel refused.
    Rules(Arc<Ruling>, Vec<Watch>, oneshot::Sender<Result<(), String>>),
    /// Leave these threads' events out; says what the kernel refused.
    Ignore(Vec<String>, oneshot::Sender<Result<(), String>>),
    /// Have the kernel refuse executions, or no longer; says why it can't.
    Deny(Denial, bool, oneshot::Sender<Result<(), String>>),
    /// Write events down into a descriptor for so long; says why it can't.
    Record(OwnedFd, Duration, oneshot::Sender<Result<(), String>>),
    /// Say what was counted.
    Report(oneshot::Sender<BTreeMap<String, u64>>),
    /// End.
    Stop,
}

/// What the thread tells the daemon.
#[derive(Debug)]
pub enum Output {
    /// A rule matched.
    Alert(Box<Alert>),
    /// So many events of a class were lost since the last such message.
    Lost(Class, u64),
    /// The source has failed or recovered.
    Source(Option<String>),
    /// Something about the probes is not as it was left, and stays so.
    Tampered(String),
    /// What became of following the journal.
    Journal(Said),
    /// What became of listening to name servers.
    Names(Said),
    /// Hooks came or went: what is seen now, and a sentence while not all of it is.
    Coverage(Vec<Coverage>, Option<String>),
}

/// The way to the thread.
#[derive(Debug, Clone)]
pub struct Commander {
    commands: mpsc::Sender<Command>,
    wake: Arc<EventFd>,
}

impl Commander {
    /// Sends a command; whether the thread is there to take it.
    pub fn send(&self, command: Command) -> bool {
        self.commands.send(command).is_ok() && self.wake.write(1).is_ok()
    }
}

/// Starts the thread.
///
/// # Errors
/// When the system gives no thread or no descriptor.
pub fn start(
    source: Box<dyn EventSource>,
    detector: Detector,
    journal: follower::Settings,
    limits: Usage,
    output: async_mpsc::Sender<Output>,
) -> std::io::Result<(Commander, JoinHandle<()>)> {
    let wake = Arc::new(EventFd::from_flags(
        EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK,
    )?);
    let (commands, inbox) = mpsc::channel();
    let commander = Commander {
        commands,
        wake: wake.clone(),
    };
    let watcher = Watcher {
        source,
        detector,
        journal,
        following: None,
        answers: None,
        output,
        inbox,
        wake,
        known: Counters::default(),
        check: None,
        failing: false,
        care: Care::new(limits),
        looks: Looks::default(),
        more: false,
    };
    let thread = std::thread::Builder::new()
        .name("events".into())
        .stack_size(512 * 1024)
        .spawn(move || watcher.run())?;
    Ok((commander, thread))
}

struct Watcher {
    source: Box<dyn EventSource>,
    detector: Detector,
    journal: follower::Settings,
    following: Option<(Follower, mpsc::Receiver<Message>)>,
    answers: Option<Answers>,
    output: async_mpsc::Sender<Output>,
    inbox: mpsc::Receiver<Command>,
    wake: Arc<EventFd>,
    known: Counters,
    check: Option<Instant>,
    failing: bool,
    care: Care,
    looks: Looks,
    /// The last drain left something.
    more: bool,
}

impl Watcher {
    fn run(mut self) {
        self.listen();
        self.detector.scan();
        self.follow();
        loop {
            let (events, commands, answers) = match self.wait() {
                Ok(ready) => ready,
                Err(error) => {
                    self.say(Output::Source(Some(format!(
                        "waiting for events failed: {error}"
                    ))));
                    return;
                }
            };
            if commands {
                if !self.obey() {
                    return;
                }
                self.messages();
            }
            if answers && let Some(answers) = &mut self.answers {
                answers.take(self.detector.names());
            }
            if events {
                let (source, detector, output, care, answers) = (
                    &mut self.source,
                    &mut self.detector,
                    &self.output,
                    &mut self.care,
                    &mut self.answers,
                );
                let mut events = 0;
                let more = source.drain(BATCH, &mut |event| {
                    events += 1;
                    care.count(&event);
                    // The answer that led to a connection came before it.
                    if let Some(answers) = answers.as_mut().filter(|_| has_peer(&event)) {
                        answers.take(detector.names());
                    }
                    detector.take(&event, &mut |alert| {
                        // Fails only when the daemon is stopping.
                        let _ = output.blocking_send(Output::Alert(Box::new(alert)));
                    });
                });
                self.more = more;
                self.look(events);
                if events > 0 {
                    self.check.get_or_insert_with(|| Instant::now() + CHECK);
                }
            }
            if self.check.is_some_and(|due| due <= Instant::now()) {
                self.check = None;
                self.check_losses();
                if self.look_after() {
                    self.check = Some(Instant::now() + CHECK);
                }
            }
            if let Some(windows) = self.detector.windows()
                && windows.due().is_some()
            {
                windows.close_due(boot_time());
            }
        }
    }

    /// Has events wake this thread, or looks for them by itself, by how many there were.
    fn look(&mut self, events: usize) {
        let done = match self.looks.found(events, Instant::now()) {
            Turn::Stay => true,
            Turn::Look => self.source.set_looking(true),
            Turn::Wait => self.source.set_looking(false),
        };
        if !done {
            self.looks.refuse();
        }
    }

    /// Whether there are events, commands, and answers of name servers.
    fn wait(&mut self) -> Result<(bool, bool, bool), Errno> {
        let now = Instant::now();
        let check = self.check.map(|due| due.saturating_duration_since(now));
        let windows = self.detector.windows().and_then(|windows| windows.due());
        let windows = windows.map(|due| Duration::from_nanos(due.saturating_sub(boot_time())));
        let look = self.looks.due(now);
        let answers = self.answers.as_ref().map(|answers| answers.wait(now));
        let pause = answers.and_then(Result::err);
        let others = windows.into_iter().chain(look).chain(pause);
        let timeout = match check.into_iter().chain(others).min() {
            _ if self.more => PollTimeout::ZERO,
            Some(left) => {
                // Up to whole milliseconds: else it would be woken too early, and again.
                let left = Duration::from_millis(left.as_micros().div_ceil(1000) as u64);
                PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)
            }
            None => PollTimeout::NONE,
        };
        let mut descriptors = [
            PollFd::new(self.source.descriptor(), PollFlags::POLLIN),
            PollFd::new(self.wake.as_fd(), PollFlags::POLLIN),
            match answers {
                Some(Ok(socket)) => PollFd::new(socket, PollFlags::POLLIN),
                _ => PollFd::new(self.wake.as_fd(), PollFlags::empty()),
            },
        ];
        match poll(&mut descriptors, timeout) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error),
        }
        let ready = |descriptor: &PollFd<'_>| descriptor.any().unwrap_or(false);
        if descriptors[0]
            .revents()
            .is_some_and(|events| events.contains(PollFlags::POLLNVAL))
        {
            return Err(Errno::EBADF);
        }
        let looks = look.is_some_and(|left| now.elapsed() >= left);
        let events = ready(&descriptors[0]) || looks || self.more;
        Ok((events, ready(&descriptors[1]), ready(&descriptors[2])))
    }

    /// Listens to name servers if the rules in force need it, else not.
    fn listen(&mut self) {
        if !self.detector.wants_names() {
            self.answers = None;
            *self.detector.names() = Names::default();
            self.say(Output::Names(Said::Problem(None)));
        } else if self.answers.is_none() {
            let opened = Answers::open();
            let problem = opened.as_ref().err().map(|error| {
                format!("names of hosts are not known, and rules about them don't match: {error}")
            });
            self.answers = opened.ok();
            self.say(Output::Names(Said::Problem(problem)));
        }
    }

    /// Follows the journal if the rules in force need it, else not.
    fn follow(&mut self) {
        if !self.detector.wants_messages() {
            if self.following.take().is_some() {
                self.say(Output::Journal(Said::Problem(None)));
            }
            return;
        }
        if self.following.is_some() {
            return;
        }
        let (wake, output) = (self.wake.clone(), self.output.clone());
        let started = Follower::start(
            self.journal.clone(),
            move || {
                // Fails only when the counter is full, and then the thread is awake.
                let _ = wake.write(1);
            },
            move |said| {
                // Fails only when the daemon is stopping.
                let _ = output.blocking_send(Output::Journal(said));
            },
        );
        match started {
            Ok(following) => self.following = Some(following),
            Err(error) => self.say(Output::Journal(Said::Problem(Some(format!(
                "messages are not read: {error}"
            ))))),
        }
    }

    /// Takes a bounded number of messages.
    fn messages(&mut self) {
        let Some((_, messages)) = &self.following else {
            return;
        };
        for taken in 0.. {
            if taken == BATCH {
                // There may be more: come back after the events.
                let _ = self.wake.write(1);
                return;
            }
            let Ok(message) = messages.try_recv() else {
                return;
            };
            let output = &self.output;
            self.detector.take_message(&message, &mut |alert| {
                // Fails only when the daemon is stopping.
                let _ = output.blocking_send(Output::Alert(Box::new(alert)));
            });
        }
    }

    /// Does what the daemon wants; false when that is to end.
    fn obey(&mut self) -> bool {
        // Only resets the counter; commands are in the channel.
        let _ = self.wake.read();
        while let Ok(command) = self.inbox.try_recv() {
            // Whoever asked may have given up.
            match command {
                Command::Rules(ruling, watches, done) => {
                    self.detector.set_ruling(ruling);
                    self.follow();
                    self.listen();
                    let _ = done.send(self.source.watch(&watches));
                }
                Command::Ignore(commands, done) => {
                    let _ = done.send(self.source.ignore(&commands));
                }
                Command::Deny(denial, on, done) => {
                    let _ = done.send(self.source.deny(denial, on));
                }
                Command::Record(to, length, done) => {
                    let start = || recorder::start(to, length);
                    let _ = done.send(self.detector.record(start));
                }
                Command::Report(done) => {
                    self.check_losses();
                    let _ = done.send(self.report());
                }
                Command::Stop => return false,
            }
        }
        true
    }

    /// Keeps within the budget and looks for tampering; whether to come back although nothing happens.
    fn look_after(&mut self) -> bool {
        let (output, mut said) = (&self.output, Vec::new());
        self.care
            .look_after(self.source.as_mut(), &mut |one| said.push(one));
        for one in said {
            // Fails only when the daemon is stopping.
            let _ = output.blocking_send(one);
        }
        self.care.is_waiting()
    }

    fn check_losses(&mut self) {
        match self.answers.as_mut().map_or(0, Answers::lost) {
            0 => {}
            lost => self.say(Output::Names(Said::Lost(lost))),
        }
        match self.source.counters() {
            Ok(now) => {
                // Nobody sees what is beyond a limit, either.
                let missed = |counters: &Counters, class: Class| {
                    let count = |map: &BTreeMap<Class, u64>| map.get(&class).copied().unwrap_or(0);
                    count(&counters.lost) + count(&counters.limited)
                };
                for class in Class::ALL {
                    let (before, total) = (missed(&self.known, class), missed(&now, class));
                    if total > before {
                        self.say(Output::Lost(class, total - before));
                    }
                }
                self.known = now;
                if std::mem::take(&mut self.failing) {
                    self.say(Output::Source(None));
                }
            }
            Err(reason) if !self.failing => {
                self.failing = true;
                self.say(Output::Source(Some(format!(
                    "losses can't be counted: {reason}"
                ))));
            }
            Err(_) => {}
        }
    }

    fn report(&self) -> BTreeMap<String, u64> {
        let mut out = self.detector.statistics();
        for (name, counters) in [
            ("lost", &self.known.lost),
            ("seen", &self.known.seen),
            ("filtered", &self.known.filtered),
            ("limited", &self.known.limited),
        ] {
            out.extend(
                counters
                    .iter()
                    .map(|(class, count)| (format!("{name}.{}", class.name()), *count)),
            );
        }
        self.care.report(&mut out);
        if let Some(answers) = &self.answers {
            let counted = answers.counted;
            out.insert("names.answers".into(), counted.taken);
            out.insert("names.unreadable".into(), counted.unreadable);
            out.insert("names.lost".into(), counted.lost);
        }
        let waiting = self.output.max_capacity() - self.output.capacity();
        out.insert("queue.alerts".into(), waiting as u64);
        for program in self.source.programs() {
            out.insert(format!("program.{}.runs", program.program), program.runs);
            let nanos = u64::try_from(program.run_time.as_nanos()).unwrap_or(u64::MAX);
            out.insert(format!("program.{}.ns", program.program), nanos);
        }
        out
    }

    fn say(&self, output: Output) {
        let _ = self.output.blocking_send(output);
    }
}

/// Whether an event is about another host.
fn has_peer(event: &Event) -> bool {
    match event {
        Event::Connect(_) => true,
        Event::Action(action) => action.peer.is_some(),
        _ => false,
    }
}
