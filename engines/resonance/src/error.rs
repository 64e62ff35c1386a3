//! What the resonance suite refuses, each cause by itself: a wrong key is not an altered file, and
//! a cut file is neither.

/// Every failure of the suite.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The bytes are something else altogether.
    #[error("this is not a {0}: the first bytes are others")]
    Foreign(&'static str),
    /// Made by a version that this one can't read.
    #[error("{what} has format version {version}, which is not known here")]
    UnknownVersion {
        /// Which thing.
        what: &'static str,
        /// The version it states.
        version: u8,
    },
    /// A number that stands for nothing known here.
    #[error("{what} {number} is not known here")]
    UnknownNumber {
        /// What the number is for.
        what: &'static str,
        /// The number.
        number: u8,
    },
    /// The bytes break the rules of their format.
    #[error("{what}: {why}")]
    Malformed {
        /// Which thing.
        what: &'static str,
        /// Which rule.
        why: &'static str,
    },
    /// The checksum of a header differs.
    #[error("the header of the {0} is damaged: its checksum differs")]
    Damaged(&'static str),
    /// Something is longer than allowed.
    #[error("{what} has a length of {got}, at most {limit} is allowed")]
    TooLong {
        /// Which thing.
        what: &'static str,
        /// The most it may have.
        limit: u64,
        /// What it has.
        got: u64,
    },
    /// Something is shorter than it has to be.
    #[error("{what} has a length of {got}, at least {need} is needed")]
    TooShort {
        /// Which thing.
        what: &'static str,
        /// The least it may have.
        need: u64,
        /// What it has.
        got: u64,
    },
    /// Something has another length than it has to have.
    #[error("{what} has a length of {got}, it has to be {want}")]
    Length {
        /// Which thing.
        what: &'static str,
        /// The only length that will do.
        want: u64,
        /// What it has.
        got: u64,
    },
    /// A number is NaN or infinite.
    #[error("{what}: value {index} is not a finite number")]
    NotFinite {
        /// Which list.
        what: &'static str,
        /// Where in it, from 0 on.
        index: u64,
    },
    /// A word in a list that is no number.
    #[error("value {index}, {shown}, is not a number")]
    NotANumber {
        /// Where in the list, from 0 on.
        index: u64,
        /// The beginning of the word, escaped.
        shown: String,
    },
    /// Argon2id would cost more than the caller's limits let a file ask for.
    #[error("the passphrase derivation asks for {asked}, which is over the limit of {limit}")]
    TooCostly {
        /// What the file asks for.
        asked: String,
        /// What is allowed.
        limit: String,
    },
    /// It was sealed under a key and a passphrase was given, or the other way round.
    #[error("this was sealed under a {found}, so a {found} is needed to open it")]
    OtherSource {
        /// `key` or `passphrase`.
        found: &'static str,
    },
    /// The commitment differs: another key, passphrase or context.
    #[error("the {0} is wrong")]
    WrongKey(&'static str),
    /// A chunk is not what was sealed.
    #[error("chunk {chunk} was altered")]
    Altered {
        /// Which one, from 0 on.
        chunk: u64,
    },
    /// The last chunk is shorter than the others and not what was sealed; a stream cut off inside a
    /// chunk looks just like that.
    #[error("the last chunk, {chunk}, was altered, or the rest is cut off after {after} bytes")]
    CutOrAltered {
        /// Which one, from 0 on.
        chunk: u64,
        /// How many bytes of chunks there are.
        after: u64,
    },
    /// A chunk stands in another one's place.
    #[error("chunks are out of order: where chunk {expected} belongs stands chunk {found}")]
    OutOfOrder {
        /// The place.
        expected: u64,
        /// The chunk that stands there.
        found: u64,
    },
    /// The end is missing.
    #[error("the {what} is cut off after {after} bytes")]
    Truncated {
        /// Which thing.
        what: &'static str,
        /// How many of its bytes there are.
        after: u64,
    },
    /// Something follows the end.
    #[error("data follows the last chunk, which is chunk {last}")]
    Trailing {
        /// The last chunk.
        last: u64,
    },
    /// A waveform is too easily guessed.
    #[error("the waveform is worth about {bits} bits as a key, at least {need} are needed")]
    Weak {
        /// Estimated bits.
        bits: u16,
        /// Bits that are enough.
        need: u16,
    },
    /// A signature does not verify.
    #[error("the signature of the {0} does not verify")]
    BadSignature(&'static str),
    /// The signer refused.
    #[error("the signer: {0}")]
    Signer(String),
    /// Too many failed attempts.
    #[error("too many failed attempts; the next one may be made in {} seconds", .wait.div_ceil(1_000_000))]
    Throttled {
        /// Microseconds to wait.
        wait: u64,
    },
    /// A library refused or the random generator failed.
    #[error("{0} failed")]
    Library(&'static str),
}
