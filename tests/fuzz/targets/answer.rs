//! What comes from a name server's port: an answer, nothing or an error, within bounds; and learned without growing.
#![no_main]

use libfuzzer_sys::fuzz_target;
use security_ai::answer::{self, Answer};
use security_ai::names::{self, Names};

fuzz_target!(|bytes: &[u8]| {
    let mut names = Names::default();
    let packet = answer::read(bytes).ok().flatten();
    let message = answer::read_message(bytes).ok().flatten();
    for Answer { name, addresses } in packet.into_iter().chain(message) {
        assert!(!name.is_empty() && name.len() <= 1024 && name.is_ascii());
        assert!(
            !name
                .bytes()
                .any(|byte| byte.is_ascii_uppercase() || byte.is_ascii_control())
        );
        assert!((1..=answer::MOST).contains(&addresses.len()));
        let answer = Answer { name, addresses };
        names.learn(&answer, 1);
        assert!(names.len() <= names::MOST);
        for (address, _) in &answer.addresses {
            assert_eq!(names.get(*address, 1), Some(answer.name.as_str()));
        }
    }
});
