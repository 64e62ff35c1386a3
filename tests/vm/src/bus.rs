//! The guest's system bus, as any program there sees it: through busctl, whose JSON is parsed.

use std::error::Error;

use quantumos_harness::guest::{Guest, Output};
use serde_json::Value;

type Answer = Result<Value, Box<dyn Error>>;

/// The guest's system bus for one of its users.
#[derive(Clone, Copy)]
pub struct Bus<'a> {
    guest: &'a Guest,
    user: &'a str,
}

impl<'a> Bus<'a> {
    /// For root.
    pub fn of(guest: &'a Guest) -> Self {
        Self {
            guest,
            user: "root",
        }
    }

    /// For another user.
    #[must_use]
    pub fn user(self, user: &'a str) -> Self {
        Self { user, ..self }
    }

    /// Runs busctl.
    ///
    /// # Errors
    /// When the guest can't; what the service answers is in the output.
    pub fn busctl(self, arguments: &[&str]) -> Result<Output, Box<dyn Error>> {
        let mut words = vec!["runuser", "-u", self.user, "--", "busctl"];
        if self.user == "root" {
            words.drain(..4);
        }
        words.extend([
            "--json=short",
            "--timeout=120",
            "--allow-interactive-authorization=no",
        ]);
        words.extend(arguments);
        Ok(self.guest.run(&words)?)
    }

    fn parse(self, arguments: &[&str]) -> Answer {
        let output = self.busctl(arguments)?;
        if output.code != 0 {
            let words = arguments.join(" ");
            return Err(format!("busctl {words}: {}", output.errors()).into());
        }
        if output.stdout.iter().all(u8::is_ascii_whitespace) {
            return Ok(Value::Null);
        }
        let mut answer: Value = serde_json::from_slice(&output.stdout)?;
        Ok(answer["data"].take())
    }

    /// The answer to a call: an array of its values, or null.
    ///
    /// # Errors
    /// When the answer is an error; its text is in the message.
    pub fn call(
        self,
        name: &str,
        path: &str,
        interface: &str,
        method: &str,
        arguments: &[&str],
    ) -> Answer {
        let mut words = vec!["call", name, path, interface, method];
        words.extend(arguments);
        self.parse(&words)
    }

    /// The error text with which a call is refused.
    ///
    /// # Errors
    /// When it is not refused.
    pub fn refusal(
        self,
        name: &str,
        path: &str,
        interface: &str,
        method: &str,
        arguments: &[&str],
    ) -> Result<String, Box<dyn Error>> {
        let mut words = vec!["call", name, path, interface, method];
        words.extend(arguments);
        let output = self.busctl(&words)?;
        if output.code == 0 {
            let user = self.user;
            return Err(format!("{user} could call {method}: {}", output.text()).into());
        }
        Ok(output.errors())
    }

    /// A property's value.
    ///
    /// # Errors
    /// When it can't be read.
    pub fn get(self, name: &str, path: &str, interface: &str, property: &str) -> Answer {
        self.parse(&["get-property", name, path, interface, property])
    }

    /// Who owns a name, as a process id.
    ///
    /// # Errors
    /// When nobody does.
    pub fn owner(self, name: &str) -> Result<u64, Box<dyn Error>> {
        let answer = self.call(
            "org.freedesktop.DBus",
            "/org/freedesktop/DBus",
            "org.freedesktop.DBus",
            "GetConnectionUnixProcessID",
            &["s", name],
        )?;
        answer[0]
            .as_u64()
            .ok_or_else(|| format!("no process id in {answer}").into())
    }
}
