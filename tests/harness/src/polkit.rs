//! A polkit authority on a private bus that answers what the test tells it to and remembers
//! what it was asked. The services' own code is the same as on a host.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

use zbus::{Connection, OwnedVariant};

use crate::{Error, PrivateBus};

/// What a service asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// polkit action id.
    pub action: String,
    /// Kind of the subject; services have to say `system-bus-name`.
    pub subject_kind: String,
    /// Unique bus name of the caller that is asked about.
    pub sender: String,
    /// Whether the caller may be asked for a password.
    pub interactive: bool,
}

#[derive(Debug, Default)]
struct Book {
    allowed: BTreeSet<String>,
    asked: Vec<Question>,
}

/// Handle on the authority; it answers while this lives.
#[derive(Debug)]
pub struct FakePolkit {
    book: Arc<Mutex<Book>>,
    _connection: Connection,
}

impl FakePolkit {
    /// Puts an authority that refuses everything on the bus.
    ///
    /// # Errors
    /// When the bus refuses.
    pub async fn start(bus: &PrivateBus) -> Result<Self, Error> {
        let book = Arc::<Mutex<Book>>::default();
        let connection = bus.connect().await?;
        connection
            .object_server()
            .at(
                "/org/freedesktop/PolicyKit1/Authority",
                Authority { book: book.clone() },
            )
            .await?;
        connection
            .request_name("org.freedesktop.PolicyKit1")
            .await?;
        Ok(Self {
            book,
            _connection: connection,
        })
    }

    /// From now on lets everybody do `action`.
    pub fn allow(&self, action: &str) {
        self.book
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .allowed
            .insert(action.into());
    }

    /// From now on refuses `action`.
    pub fn refuse(&self, action: &str) {
        self.book
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .allowed
            .remove(action);
    }

    /// All questions up to now, oldest first.
    pub fn asked(&self) -> Vec<Question> {
        self.book
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .asked
            .clone()
    }
}

struct Authority {
    book: Arc<Mutex<Book>>,
}

type Subject = (String, HashMap<String, OwnedVariant>);

#[zbus::interface(name = "org.freedesktop.PolicyKit1.Authority")]
impl Authority {
    fn check_authorization(
        &self,
        subject: Subject,
        action_id: String,
        _details: HashMap<String, String>,
        flags: u32,
        _cancellation_id: String,
    ) -> ((bool, bool, HashMap<String, String>),) {
        let (subject_kind, details) = subject;
        let sender = details
            .get("name")
            .and_then(|name| <&str>::try_from(name).ok())
            .unwrap_or_default()
            .to_owned();
        let mut book = self.book.lock().unwrap_or_else(PoisonError::into_inner);
        let allowed = book.allowed.contains(&action_id);
        book.asked.push(Question {
            action: action_id,
            subject_kind,
            sender,
            interactive: flags & 1 != 0,
        });
        ((allowed, false, HashMap::new()),)
    }
}
