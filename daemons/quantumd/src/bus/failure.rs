//! The edge where quantumd's errors become errors on the bus.

use crate::Error;
use crate::tpm::TpmError;
use quantumos_dbus::Error as BusError;

/// What a method gives.
pub(super) type Answer<T> = Result<T, BusError>;

impl From<Error> for BusError {
    fn from(error: Error) -> Self {
        use crate::circuit::wire::Failure;
        use quantumos_ledger::Error as Ledger;
        use quantumos_pqc::Error as Crypto;
        use quantumos_resonance::Error as Stream;
        use quantumos_resonance::container::Broken;
        let text = error.to_string();
        match error {
            Error::Argument { .. } | Error::Replayed { .. } | Error::KeyExists(_) => {
                Self::InvalidArgument(text)
            }
            Error::Tpm(TpmError::WrongPin { .. }) => Self::NotAuthorized(text),
            Error::TooLarge { .. }
            | Error::TooManyKeys { .. }
            | Error::TooManyContainers { .. }
            | Error::TooMany { .. } => Self::LimitExceeded(text),
            Error::NoSuchKey(_) | Error::NoSuchVersion { .. } | Error::NoSuchCredential(_) => {
                Self::NotFound(text)
            }
            Error::NotGranted { .. } => Self::NotAuthorized(text),
            Error::Stream(Stream::Library(_)) => {
                tracing::error!("{text}");
                Self::Internal(text)
            }
            Error::Stream(Stream::Throttled { .. }) => Self::LimitExceeded(text),
            Error::Chain(Broken::Missing(_)) | Error::NoSuchContainer(_) => Self::NotFound(text),
            Error::Stream(_) | Error::Light(_) | Error::Chain(_) => Self::InvalidArgument(text),
            Error::Revoked { .. } => Self::KeyRevoked(text),
            Error::Busy(_) => Self::Busy(text),
            Error::Circuit(Failure::Argument, _) => Self::InvalidArgument(text),
            Error::Circuit(Failure::Limit, _) => Self::LimitExceeded(text),
            Error::Circuit(Failure::Unsupported, _) => Self::NotSupported(text),
            Error::Circuit(Failure::Cancelled, _) => Self::Cancelled(text),
            Error::Circuit(Failure::Internal, _) => Self::Internal(text),
            Error::Runner(_) => Self::Unavailable(text),
            Error::Cancelled => Self::Cancelled(text),
            Error::Locked(_)
            | Error::Closed(_)
            | Error::Stalled(_)
            | Error::Entropy(_)
            | Error::SoftwareNotAllowed
            | Error::Tpm(_) => Self::Unavailable(text),
            Error::File { .. }
            | Error::Damaged { .. }
            | Error::Database { .. }
            | Error::OtherRoot(_)
            | Error::RootMissing(_)
            | Error::StoreMissing(_)
            | Error::LedgerClosed(_)
            | Error::Unrecorded(_)
            | Error::Ledger(Ledger::Damage(_) | Ledger::Storage { .. } | Ledger::BadSignature(_)) => {
                Self::Io(text)
            }
            Error::Ledger(Ledger::OutOfRange { .. }) => Self::NotFound(text),
            Error::Ledger(Ledger::Limit { .. }) => Self::LimitExceeded(text),
            Error::Ledger(Ledger::Malformed { .. }) => Self::InvalidArgument(text),
            Error::Crypto(Crypto::UnknownAlgorithm(_) | Crypto::WrongKind { .. }) => {
                Self::NotSupported(text)
            }
            Error::Crypto(
                Crypto::Length { .. }
                | Crypto::TooLong { .. }
                | Crypto::Malformed { .. }
                | Crypto::UnknownVersion { .. }
                | Crypto::Truncated { .. }
                | Crypto::Altered { .. }
                | Crypto::OtherSigner { .. }
                | Crypto::OtherRecipient { .. },
            ) => Self::InvalidArgument(text),
            Error::Crypto(_) | Error::Ledger(_) | Error::Worker => {
                tracing::error!("{text}");
                Self::Internal(text)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_has_its_name() {
        let full = rusqlite::Error::SqliteFailure(
            rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_FULL),
            Some("database or disk is full".into()),
        );
        let database = Error::Database {
            path: "/keys.sqlite".into(),
            source: full,
        };
        let unknown = "X".parse::<quantumos_pqc::Algorithm>().unwrap_err();
        type Case = (Error, fn(&BusError) -> bool, &'static str);
        let cases: [Case; 6] = [
            (
                Error::argument("option x", "unknown"),
                |e| matches!(e, BusError::InvalidArgument(_)),
                "option x: unknown",
            ),
            (database, |e| matches!(e, BusError::Io(_)), "disk is full"),
            (
                Error::Crypto(unknown),
                |e| matches!(e, BusError::NotSupported(_)),
                "\"X\"",
            ),
            (
                TpmError::Lockout { seconds: Some(9) }.into(),
                |e| matches!(e, BusError::Unavailable(_)),
                "9 seconds",
            ),
            (Error::Busy(3), |e| matches!(e, BusError::Busy(_)), "3"),
            (
                Error::Worker,
                |e| matches!(e, BusError::Internal(_)),
                "worker",
            ),
        ];
        for (error, kind, words) in cases {
            let text = error.to_string();
            assert!(text.contains(words), "{text}");
            assert!(kind(&error.into()), "{text}");
        }
    }
}
