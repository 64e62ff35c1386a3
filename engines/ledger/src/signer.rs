//! An Ed25519 key that signs notes. Where its seed comes from and is kept is the caller's affair.

use crate::Error;
use crate::note::{Kind, Signer, VerifierKey};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};

/// An Ed25519 key pair with a name.
#[derive(Debug)]
pub struct Ed25519 {
    key: VerifierKey,
    pair: Ed25519KeyPair,
}

fn pair(seed: &[u8; 32]) -> Result<Ed25519KeyPair, Error> {
    Ed25519KeyPair::from_seed_unchecked(seed)
        .map_err(|_| Error::malformed("Ed25519 seed", "the library refuses it"))
}

impl Ed25519 {
    /// The key pair of a seed.
    ///
    /// # Errors
    /// [`Error::Malformed`] for the name.
    pub fn from_seed(name: &str, seed: &[u8; 32]) -> Result<Self, Error> {
        let pair = pair(seed)?;
        let key = VerifierKey::new(name, Kind::Ed25519, pair.public_key().as_ref())?;
        Ok(Self { key, pair })
    }

    /// The public key of a seed.
    ///
    /// # Errors
    /// When the library refuses the seed.
    pub fn public(seed: &[u8; 32]) -> Result<Vec<u8>, Error> {
        Ok(pair(seed)?.public_key().as_ref().to_vec())
    }
}

impl Signer for Ed25519 {
    fn key(&self) -> &VerifierKey {
        &self.key
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, String> {
        Ok(self.pair.sign(message).as_ref().to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hex;
    use crate::note::Note;

    /// RFC 8032, section 7.1, test 1.
    #[test]
    fn published_key() {
        let seed =
            crate::from_hex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
                .unwrap();
        let public = Ed25519::public(&seed).unwrap();
        assert_eq!(
            hex(&public),
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
        );
        let signer = Ed25519::from_seed("n", &seed).unwrap();
        let note = Note::sign("text\n", &[&signer]).unwrap();
        note.verify_all(std::slice::from_ref(signer.key())).unwrap();
        assert!(Ed25519::from_seed("a b", &seed).is_err());
    }
}
