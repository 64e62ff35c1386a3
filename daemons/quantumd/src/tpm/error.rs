//! What can go wrong with a TPM, told apart by what the administrator has to do about it. The
//! TSS gives response codes only; their meaning depends on the layer that raised them.

use tss_esapi::Error as TssError;
use tss_esapi::constants::response_code::{Tss2ResponseCode, Tss2ResponseCodeKind as Kind};

/// Why the TPM didn't do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TpmError {
    /// Nothing answers where the TPM should be.
    #[error("no TPM at {tcti}: {cause}")]
    Absent {
        /// Where it was looked for.
        tcti: String,
        /// Why it can't be opened.
        cause: String,
    },
    /// It was there and stopped answering in the middle.
    #[error("the TPM stopped answering at {step}")]
    Gone {
        /// What was being done.
        step: &'static str,
    },
    /// It takes longer than a TPM may.
    #[error("the TPM does not answer")]
    Silent,
    /// Another TPM, or this one after a clear: its storage root key isn't the one pinned.
    #[error(
        "the TPM is not the one that this store was enrolled with, or it was cleared: \
         its storage root key is {found}, {pinned} is pinned"
    )]
    OtherTpm {
        /// Name of the key found, shortened.
        found: String,
        /// Name that was pinned at enrolment, shortened.
        pinned: String,
    },
    /// What is at the handle of the storage root key can't serve as one.
    #[error("the object at TPM handle 0x81000001 is no storage key: {0}")]
    UnusableRoot(&'static str),
    /// The sealed object isn't from this storage root key, or was altered.
    #[error("the sealed root key does not load: altered, or not made by this TPM")]
    NotItsBlob,
    /// Too many failed authorisations.
    #[error("the TPM is locked after too many wrong PINs: {}", recovery(*seconds))]
    Lockout {
        /// How long until it takes another attempt, when it says so.
        seconds: Option<u32>,
    },
    /// The root key asks for a PIN, and none was given.
    #[error("a PIN opens the root key: quantumctl keys unlock")]
    PinNeeded,
    /// The PIN is wrong.
    #[error("wrong PIN{}", attempts(*left, *seconds))]
    WrongPin {
        /// How many more may be tried before lockout, when the TPM says so.
        left: Option<u32>,
        /// Seconds until one failed attempt is forgotten.
        seconds: Option<u32>,
    },
    /// The PCRs don't have a state that the authority approved.
    #[error(
        "the PCRs have no approved state: none of {looked_at} approvals by the pinned key fits \
         what was booted; sign the new state (quantumctl keys approve) or boot an approved one"
    )]
    NotApproved {
        /// How many approvals were compared.
        looked_at: usize,
    },
    /// The approval that fits the PCRs isn't signed by the pinned key.
    #[error("the approval of the present PCR state has no valid signature")]
    BadApproval,
    /// A hierarchy or object has a password that quantumd doesn't know.
    #[error("the TPM asks for an authorisation at {step} that quantumd does not have")]
    Authorisation {
        /// What was being done.
        step: &'static str,
    },
    /// It is in failure mode, or not started.
    #[error("the TPM is in failure mode or was not started (at {step})")]
    Failure {
        /// What was being done.
        step: &'static str,
    },
    /// Anything else, with the code to look up by `tpm2_rc_decode`.
    #[error("the TPM answered {code:#x} at {step}: {text}")]
    Other {
        /// What was being done.
        step: &'static str,
        /// TSS response code, 0 when the library itself refused.
        code: u32,
        /// The TSS's words.
        text: String,
    },
}

fn recovery(seconds: Option<u32>) -> String {
    let reset = "tpm2_dictionarylockout -c, with the lockout authorisation, ends it at once";
    match seconds {
        Some(seconds) => {
            format!("it takes another attempt after at most {seconds} seconds; {reset}")
        }
        None => format!("it takes another attempt after a while; {reset}"),
    }
}

fn attempts(left: Option<u32>, seconds: Option<u32>) -> String {
    match (left, seconds) {
        (Some(0), Some(seconds)) => format!(", and the TPM is locked now for {seconds} seconds"),
        (Some(left), Some(seconds)) => {
            format!(", {left} more before lockout; one is forgotten every {seconds} seconds")
        }
        _ => String::new(),
    }
}

/// The response code as a number. The library keeps the field to itself but prints it.
fn raw(code: Tss2ResponseCode) -> u32 {
    let shown = match code {
        Tss2ResponseCode::Success => return 0,
        Tss2ResponseCode::FormatZero(code) => code.to_string(),
        Tss2ResponseCode::FormatOne(code) => code.to_string(),
    };
    let digits = shown.rsplit("0x").next().unwrap_or_default();
    u32::from_str_radix(digits, 16).unwrap_or_default()
}

/// The transport's layer in a response code (TSS2_TCTI_RC_LAYER).
const TRANSPORT: u32 = 10;

impl TpmError {
    /// Says what an error of the TSS means at this step.
    pub(super) fn from_tss(step: &'static str, error: TssError) -> Self {
        match error {
            TssError::Tss2Error(code) => Self::classify(step, raw(code), code.kind(), &error),
            TssError::WrapperError(_) => Self::classify(step, 0, None, &error),
        }
    }

    fn classify(step: &'static str, code: u32, kind: Option<Kind>, text: &TssError) -> Self {
        let layer = (code >> 16) & 0xff;
        // The TPM itself, or the kernel's resource manager in its name.
        let by_tpm = code != 0 && (layer == 0 || layer == 12);
        match kind {
            _ if layer == TRANSPORT => Self::Gone { step },
            Some(Kind::Lockout) if by_tpm => Self::Lockout { seconds: None },
            Some(Kind::AuthFail | Kind::BadAuth | Kind::AuthMissing) if by_tpm => {
                Self::Authorisation { step }
            }
            Some(Kind::Failure | Kind::Initialize) if by_tpm => Self::Failure { step },
            _ => Self::Other {
                step,
                code,
                text: text.to_string(),
            },
        }
    }
}

/// Whether the TPM said that there's no object at the handle.
pub(super) fn is_no_such_handle(error: &TssError) -> bool {
    matches!(error, TssError::Tss2Error(code) if code.kind() == Some(Kind::Handle))
}

/// Whether the TPM refused to load a blob: wrong parent, altered, or not a blob.
pub(super) fn is_bad_blob(error: &TssError) -> bool {
    matches!(
        error,
        TssError::Tss2Error(code)
            if matches!(code.kind(), Some(Kind::Integrity | Kind::Size | Kind::Value | Kind::Binding
                | Kind::Insufficient | Kind::Sensitive | Kind::Hash | Kind::Type | Kind::Key))
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use tss_esapi::WrapperErrorKind;

    #[test]
    fn codes_are_told_apart() {
        let text = TssError::WrapperError(WrapperErrorKind::InternalError);
        let of = |code, kind| TpmError::classify("unseal", code, kind, &text);
        let step = "unseal";
        assert_eq!(of(0xa000a, None), TpmError::Gone { step });
        assert_eq!(
            of(0x921, Some(Kind::Lockout)),
            TpmError::Lockout { seconds: None }
        );
        assert_eq!(
            of(0xc0921, Some(Kind::Lockout)),
            TpmError::Lockout { seconds: None }
        );
        assert_eq!(
            of(0x98e, Some(Kind::AuthFail)),
            TpmError::Authorisation { step }
        );
        assert_eq!(of(0x101, Some(Kind::Failure)), TpmError::Failure { step });
        assert_eq!(
            of(0x100, Some(Kind::Initialize)),
            TpmError::Failure { step }
        );
        assert!(matches!(
            of(0x70001, Some(Kind::Failure)),
            TpmError::Other { code: 0x70001, .. }
        ));
        assert!(matches!(of(0, None), TpmError::Other { code: 0, .. }));
    }
}
