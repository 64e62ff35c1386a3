//! Streams under a data key of their own, which the header carries in a capsule.
#![allow(clippy::panic, clippy::unwrap_used)]

use quantumos_resonance::Error;
use quantumos_resonance::stream::{
    CAPSULE_MAX, Cost, Header, Opener, Options, Sealer, Secret, Source,
};

fn seal(options: &Options<'_>) -> Vec<u8> {
    let mut sealer = Sealer::new(Secret::Key(&[7; 32]), options).unwrap();
    let mut out = sealer.header().to_bytes();
    sealer.push(b"message", &mut out).unwrap();
    sealer.finish(&mut out).unwrap();
    out
}

fn open(secret: Secret<'_>, context: &[u8], sealed: &[u8]) -> Result<Vec<u8>, Error> {
    let (mut opener, mut out) = (Opener::new(), Vec::new());
    let taken = opener.push(sealed, &mut out)?;
    opener.unlock(secret, context, Cost::LIMIT)?;
    opener.push(&sealed[taken..], &mut out)?;
    opener.finish(&mut out)?;
    Ok(out)
}

#[test]
fn a_data_key_travels_in_its_capsule() {
    let capsule = [9; CAPSULE_MAX];
    for capsule in [&capsule[..], b"", &capsule[..1568]] {
        let options = Options {
            reference: b"key 1",
            capsule: Some(capsule),
            context: b"c",
            ..Options::default()
        };
        let sealed = seal(&options);
        let len = Header::len(&sealed).unwrap().unwrap();
        let header = Header::from_bytes(&sealed[..len]).unwrap();
        assert_eq!(header.to_bytes(), &sealed[..len]);
        let carried = Source::Carried {
            reference: b"key 1".to_vec(),
            capsule: capsule.to_vec(),
        };
        assert_eq!(header.source(), &carried);
        let opened = open(Secret::Key(&[7; 32]), b"c", &sealed);
        assert_eq!(opened.unwrap(), b"message");
        for (secret, context) in [
            (Secret::Key(&[8; 32]), &b"c"[..]),
            (Secret::Key(&[7; 32]), b"d"),
            (Secret::Passphrase(b"x"), b"c"),
        ] {
            assert!(open(secret, context, &sealed).is_err());
        }
        // Neither reference nor capsule can be exchanged, not even with the check sum mended.
        for at in [9 + 32 + 1, len - 41] {
            let mut other = sealed.clone();
            other[at] ^= 1;
            let check = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &other[..len - 8]);
            other[len - 8..len].copy_from_slice(&check.as_ref()[..8]);
            let opened = open(Secret::Key(&[7; 32]), b"c", &other);
            assert!(opened.is_err());
        }
    }
    let long = [9; CAPSULE_MAX + 1];
    let options = Options {
        capsule: Some(&long),
        ..Options::default()
    };
    let refused = Sealer::new(Secret::Key(&[7; 32]), &options).unwrap_err();
    assert!(matches!(
        refused,
        Error::TooLong {
            what: "capsule",
            ..
        }
    ));
}

/// Every cut and every stated length that is not the real one is refused before any key is asked for.
#[test]
fn lengths_in_the_header_are_held_to() {
    let options = Options {
        reference: b"key 1",
        capsule: Some(&[9; 300]),
        ..Options::default()
    };
    let sealed = seal(&options);
    let len = Header::len(&sealed).unwrap().unwrap();
    for cut in 0..len {
        assert!(Header::from_bytes(&sealed[..cut]).is_err(), "{cut}");
    }
    // The high and low bytes of the header's, the reference's and the capsule's length.
    for at in [7, 8, 41, 47, 48] {
        for turned in [1, 0x80, 0xff] {
            let mut other = sealed.clone();
            other[at] ^= turned;
            let check = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &other[..len - 8]);
            other[len - 8..len].copy_from_slice(&check.as_ref()[..8]);
            assert!(Header::from_bytes(&other[..len]).is_err(), "{at}");
        }
    }
}
