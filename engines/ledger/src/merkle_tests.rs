use super::*;
use crate::leaf_hash;
use proptest::prelude::*;

/// All leaves in memory; perfect subtrees by the definition.
struct Leaves(Vec<Hash>);

impl Hashes for Leaves {
    fn hash(&self, level: u32, index: u64) -> Result<Hash, Error> {
        let at = usize::try_from(index).unwrap();
        if level == 0 {
            return Ok(self.0[at]);
        }
        let left = self.hash(level - 1, index * 2)?;
        Ok(node_hash(&left, &self.hash(level - 1, index * 2 + 1)?))
    }
}

/// RFC 6962's definition of the tree hash, word by word.
fn definition(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => EMPTY_ROOT,
        [leaf] => *leaf,
        many => {
            let (left, right) = many.split_at(split(many.len() as u64) as usize);
            node_hash(&definition(left), &definition(right))
        }
    }
}

fn hex(text: &str) -> Hash {
    crate::hash::from_hex(text).unwrap()
}

/// Leaves and roots of the test data of certificate-transparency's reference tree.
fn reference() -> (Leaves, [Hash; 8]) {
    let leaves: [&[u8]; 8] = [
        b"",
        b"\x00",
        b"\x10",
        b"\x20\x21",
        b"\x30\x31",
        b"\x40\x41\x42\x43",
        b"\x50\x51\x52\x53\x54\x55\x56\x57",
        b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
    ];
    let roots = [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];
    (Leaves(leaves.map(leaf_hash).to_vec()), roots.map(hex))
}

#[test]
fn published_roots() {
    let (leaves, roots) = reference();
    let mut frontier = Frontier::default();
    assert_eq!(frontier.root(), EMPTY_ROOT);
    for (at, leaf) in leaves.0.iter().enumerate() {
        frontier.push(*leaf, |_, _, _| {});
        assert_eq!(frontier.root(), roots[at]);
        assert_eq!(root(&leaves, at as u64 + 1).unwrap(), roots[at]);
    }
    assert_eq!(root(&leaves, 0).unwrap(), EMPTY_ROOT);
}

#[test]
fn published_proofs() {
    let (leaves, roots) = reference();
    let cases: [(u64, u64, &[&str]); 5] = [
        (0, 1, &[]),
        (
            0,
            8,
            &[
                "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
            ],
        ),
        (
            5,
            8,
            &[
                "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
                "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
                "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            ],
        ),
        (
            2,
            3,
            &["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"],
        ),
        (
            1,
            5,
            &[
                "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            ],
        ),
    ];
    for (index, size, path) in cases {
        let path: Vec<Hash> = path.iter().map(|text| hex(text)).collect();
        assert_eq!(inclusion(&leaves, index, size).unwrap(), path);
        let (leaf, root) = (&leaves.0[index as usize], &roots[size as usize - 1]);
        verify_inclusion(leaf, index, size, root, &path).unwrap();
    }
    let cases: [(u64, u64, &[&str]); 4] = [
        (1, 1, &[]),
        (
            1,
            8,
            &[
                "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
            ],
        ),
        (
            6,
            8,
            &[
                "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
                "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
                "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            ],
        ),
        (
            2,
            5,
            &[
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            ],
        ),
    ];
    for (old, new, path) in cases {
        let path: Vec<Hash> = path.iter().map(|text| hex(text)).collect();
        assert_eq!(consistency(&leaves, old, new).unwrap(), path);
        let (from, to) = (&roots[old as usize - 1], &roots[new as usize - 1]);
        verify_consistency(old, new, from, to, &path).unwrap();
    }
}

/// Sizes up to which every pair is tried.
const EVERY: u64 = 130;

fn numbered(count: u64) -> Leaves {
    Leaves((0..count).map(|n| leaf_hash(&n.to_be_bytes())).collect())
}

#[test]
fn every_inclusion_proof_holds_and_no_other_does() {
    let leaves = numbered(EVERY);
    let mut roots = vec![EMPTY_ROOT];
    let mut frontier = Frontier::default();
    for (at, leaf) in leaves.0.iter().enumerate() {
        frontier.push(*leaf, |level, index, hash| {
            assert_eq!(*hash, leaves.hash(level, index).unwrap());
        });
        assert_eq!(frontier.root(), definition(&leaves.0[..=at]));
        roots.push(frontier.root());
    }
    for size in 1..=EVERY {
        let root = &roots[size as usize];
        for index in 0..size {
            let leaf = &leaves.0[index as usize];
            let path = inclusion(&leaves, index, size).unwrap();
            verify_inclusion(leaf, index, size, root, &path).unwrap();
            // Another leaf, another root, another length, another place.
            assert!(verify_inclusion(root, index, size, leaf, &path).is_err() || size == 1);
            let longer = [&path[..], &[*leaf]].concat();
            assert!(verify_inclusion(leaf, index, size, root, &longer).is_err());
            if let Some((_, shorter)) = path.split_last() {
                assert!(verify_inclusion(leaf, index, size, root, shorter).is_err());
                assert!(verify_inclusion(leaf, index ^ 1, size, root, &path).is_err());
            }
            assert!(verify_inclusion(leaf, size, size, root, &path).is_err());
        }
    }
    assert!(inclusion(&leaves, 5, 5).is_err());
    assert!(inclusion(&leaves, 0, 0).is_err());
}

#[test]
fn every_consistency_proof_holds_and_no_other_does() {
    let leaves = numbered(EVERY);
    let roots: Vec<Hash> = (0..=EVERY)
        .map(|size| root(&leaves, size).unwrap())
        .collect();
    for new in 0..=EVERY {
        for old in 0..=new {
            let (from, to) = (&roots[old as usize], &roots[new as usize]);
            let path = consistency(&leaves, old, new).unwrap();
            verify_consistency(old, new, from, to, &path).unwrap();
            let longer = [&path[..], &[*to]].concat();
            assert!(verify_consistency(old, new, from, to, &longer).is_err());
            assert!(verify_consistency(old, new, &[9; 32], to, &path).is_err());
            if old > 0 {
                assert!(verify_consistency(old, new, from, &[9; 32], &path).is_err());
            }
            if old > 0 && old < new {
                assert!(verify_consistency(old, new, to, from, &path).is_err());
                assert!(verify_consistency(old, new, from, to, &[]).is_err());
                let shorter = &path[..path.len() - 1];
                assert!(verify_consistency(old, new, from, to, shorter).is_err());
            }
        }
    }
    assert!(consistency(&leaves, 3, 2).is_err());
    assert!(verify_consistency(3, 2, &roots[3], &roots[2], &[]).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// A proof with any bit changed proves nothing.
    #[test]
    fn a_changed_proof_fails(size in 2u64..5000, at in any::<u64>(), bit in any::<usize>()) {
        let leaves = numbered(size);
        let top = root(&leaves, size).unwrap();
        let index = at % size;
        let mut path = inclusion(&leaves, index, size).unwrap();
        let leaf = &leaves.0[index as usize];
        prop_assert!(verify_inclusion(leaf, index, size, &top, &path).is_ok());
        let bit = bit % (path.len() * 256);
        path[bit / 256][bit % 256 / 8] ^= 1 << (bit % 8);
        prop_assert!(verify_inclusion(leaf, index, size, &top, &path).is_err());

        let old = 1 + at % (size - 1);
        let from = root(&leaves, old).unwrap();
        let mut path = consistency(&leaves, old, size).unwrap();
        prop_assert!(verify_consistency(old, size, &from, &top, &path).is_ok());
        let bit = bit % (path.len() * 256);
        path[bit / 256][bit % 256 / 8] ^= 1 << (bit % 8);
        prop_assert!(verify_consistency(old, size, &from, &top, &path).is_err());
    }
}
