//! Names and login shells of users, asked of the system once and remembered a while.
//! The answer for a user that doesn't exist is remembered, too, so that odd numbers cost one look-up each.

use std::cell::RefCell;
use std::collections::HashMap;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long an answer is used.
const FRESH: Duration = Duration::from_secs(300);
/// The most users remembered.
const CAPACITY: usize = 1024;

/// One user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The name, or the number where there is none.
    pub name: String,
    /// The login shell; empty where there is no such user.
    pub shell: Vec<u8>,
}

/// Users by number.
#[derive(Debug, Default)]
pub struct Accounts {
    known: RefCell<HashMap<u32, (Instant, Arc<Account>)>>,
}

impl Accounts {
    /// The user of a number.
    pub fn get(&self, uid: u32) -> Arc<Account> {
        let now = Instant::now();
        let mut known = self.known.borrow_mut();
        if let Some((asked, account)) = known.get(&uid)
            && now.duration_since(*asked) < FRESH
        {
            return account.clone();
        }
        if known.len() >= CAPACITY {
            known.clear();
        }
        let account = Arc::new(ask(uid));
        known.insert(uid, (now, account.clone()));
        account
    }
}

fn ask(uid: u32) -> Account {
    match nix::unistd::User::from_uid(uid.into()) {
        Ok(Some(user)) => Account {
            name: user.name,
            shell: user.shell.as_os_str().as_bytes().to_vec(),
        },
        Ok(None) => Account {
            name: uid.to_string(),
            shell: Vec::new(),
        },
        Err(error) => {
            tracing::debug!(uid, %error, "the user could not be looked up");
            Account {
                name: uid.to_string(),
                shell: Vec::new(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_root_and_numbers_strangers() {
        let accounts = Accounts::default();
        assert_eq!(accounts.get(0).name, "root");
        assert!(accounts.get(0).shell.starts_with(b"/"));
        assert_eq!(accounts.get(4_000_000_001).name, "4000000001");
        assert!(Arc::ptr_eq(&accounts.get(0), &accounts.get(0)));
    }
}
