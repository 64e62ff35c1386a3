//! Tiles (C2SP tlog-tiles): runs of up to 256 hashes of every eighth level, each a file of its own.
//! A full tile never changes. [`Grower`] makes them while a tree grows, [`Tiles`] reads hashes of
//! perfect subtrees out of them.

use crate::merkle::{Frontier, Hashes};
use crate::{Error, Hash, node_hash};
use std::fmt::Write;

/// Hashes in a full tile.
pub const WIDTH: usize = 256;
/// Levels of the tree between one tile and the one above it.
const HEIGHT: u32 = 8;
/// Bytes of a full tile.
pub const FULL: usize = WIDTH * 32;

/// A tile's place: its level (in tiles) and its index within that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tile {
    /// 0 holds the leaves' hashes.
    pub level: u32,
    /// From the left, from 0.
    pub index: u64,
}

/// An index in path elements of three digits, all but the last one marked by an `x`; and `.p/WIDTH`
/// for a partial one.
pub(crate) fn numbered(prefix: &str, index: u64, width: usize) -> String {
    let mut groups = vec![format!("{:03}", index % 1000)];
    let mut rest = index / 1000;
    while rest > 0 {
        groups.push(format!("x{:03}", rest % 1000));
        rest /= 1000;
    }
    groups.reverse();
    let mut path = format!("{prefix}/{}", groups.join("/"));
    if width < WIDTH {
        // Writing to a string doesn't fail.
        let _ = write!(path, ".p/{width}");
    }
    path
}

impl Tile {
    /// Where the tile is below the log's prefix; a `width` below [`WIDTH`] names a partial one.
    #[must_use]
    pub fn path(&self, width: usize) -> String {
        numbered(&format!("tile/{}", self.level), self.index, width)
    }

    /// First and last record below the tile's hashes `first..=last` (in a tree that is large enough).
    #[must_use]
    pub fn records(&self, first: usize, last: usize) -> (u64, u64) {
        let shift = HEIGHT * self.level;
        let base = self.index.saturating_mul(WIDTH as u64);
        let start = base.saturating_add(first as u64);
        let end = base.saturating_add(last as u64 + 1);
        (start << shift, (end << shift).saturating_sub(1))
    }

    /// How many hashes the tile has in a tree of `size` leaves.
    #[must_use]
    pub fn width_at(&self, size: u64) -> usize {
        let hashes = size
            .checked_shr(HEIGHT * self.level)
            .unwrap_or(0)
            .saturating_sub(self.index.saturating_mul(WIDTH as u64));
        usize::try_from(hashes).map_or(WIDTH, |hashes| hashes.min(WIDTH))
    }
}

/// The tiles of a tree of `size` leaves, level by level, with their widths.
pub fn all(size: u64) -> impl Iterator<Item = (Tile, usize)> {
    (0..8u32).flat_map(move |level| {
        let hashes = size >> (HEIGHT * level);
        (0..hashes.div_ceil(WIDTH as u64)).map(move |index| {
            let tile = Tile { level, index };
            (tile, tile.width_at(size))
        })
    })
}

/// The hashes in a tile's bytes.
///
/// # Errors
/// [`Error::Malformed`] when there are none, too many, or half a one.
pub fn parse(bytes: &[u8]) -> Result<Vec<Hash>, Error> {
    if bytes.is_empty() || bytes.len() > FULL || !bytes.len().is_multiple_of(32) {
        let why = format!("{} bytes, not 1 to 256 times 32", bytes.len());
        return Err(Error::malformed("tile", why));
    }
    let (hashes, _) = bytes.as_chunks::<32>();
    Ok(hashes.to_vec())
}

/// The root of 2^n hashes.
fn fold(hashes: &[Hash]) -> Option<Hash> {
    let mut row = hashes.to_vec();
    while row.len() > 1 {
        row = row
            .as_chunks::<2>()
            .0
            .iter()
            .map(|[left, right]| node_hash(left, right))
            .collect();
    }
    row.first().copied()
}

/// A growing tree with the tiles at its right edge, which are partial.
#[derive(Debug, Clone, Default)]
pub struct Grower {
    frontier: Frontier,
    edge: Vec<Vec<Hash>>,
}

impl Grower {
    /// Number of leaves.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.frontier.size()
    }

    /// The root of the tree.
    #[must_use]
    pub fn root(&self) -> Hash {
        self.frontier.root()
    }

    /// Adds a leaf. Each tile that it fills goes to `full`.
    pub fn push(&mut self, leaf: Hash, mut full: impl FnMut(Tile, Vec<Hash>)) {
        let edge = &mut self.edge;
        let mut add = |level: u32, index: u64, hash: &Hash| {
            let at = level as usize;
            if edge.len() <= at {
                edge.resize_with(at + 1, || Vec::with_capacity(WIDTH));
            }
            edge[at].push(*hash);
            if edge[at].len() == WIDTH {
                let hashes = std::mem::replace(&mut edge[at], Vec::with_capacity(WIDTH));
                let index = index / WIDTH as u64;
                full(Tile { level, index }, hashes);
            }
        };
        add(0, self.frontier.size(), &leaf);
        self.frontier.push(leaf, |level, index, hash| {
            if level.is_multiple_of(HEIGHT) {
                add(level / HEIGHT, index, hash);
            }
        });
    }

    /// The partial tiles.
    pub fn partial(&self) -> impl Iterator<Item = (Tile, &[Hash])> {
        let size = self.size();
        self.edge
            .iter()
            .enumerate()
            .filter_map(move |(at, hashes)| {
                let level = at as u32;
                let index = (size >> (HEIGHT * level)) / WIDTH as u64;
                (!hashes.is_empty()).then_some((Tile { level, index }, &hashes[..]))
            })
    }

    /// The partial tile at a place, if it is one.
    #[must_use]
    pub fn edge(&self, tile: Tile) -> Option<&[Hash]> {
        self.partial()
            .find(|(at, _)| *at == tile)
            .map(|(_, hashes)| hashes)
    }
}

/// Gives the hashes of a tile: all of a full one, and at least as many as were asked for.
pub trait Tiles {
    /// The tile's hashes, `width` or more of them.
    ///
    /// # Errors
    /// When the tile can't be had.
    fn tile(&self, tile: Tile, width: usize) -> Result<Vec<Hash>, Error>;
}

/// Reads hashes of perfect subtrees out of tiles.
#[derive(Debug)]
pub struct FromTiles<T>(pub T);

impl<T: Tiles> Hashes for FromTiles<T> {
    fn hash(&self, level: u32, index: u64) -> Result<Hash, Error> {
        let (tile_level, inner) = (level / HEIGHT, level % HEIGHT);
        let first = index << inner;
        let tile = Tile {
            level: tile_level,
            index: first / WIDTH as u64,
        };
        let start = (first % WIDTH as u64) as usize;
        let end = start + (1 << inner);
        let hashes = self.0.tile(tile, end)?;
        hashes
            .get(start..end)
            .and_then(fold)
            .ok_or_else(|| Error::Storage {
                what: tile.path(WIDTH),
                why: format!("{} hashes where {end} are needed", hashes.len()),
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{leaf_hash, merkle};
    use std::collections::BTreeMap;

    struct Kept(BTreeMap<Tile, Vec<Hash>>);

    impl Tiles for Kept {
        fn tile(&self, tile: Tile, _: usize) -> Result<Vec<Hash>, Error> {
            self.0.get(&tile).cloned().ok_or(Error::Storage {
                what: tile.path(WIDTH),
                why: "not there".into(),
            })
        }
    }

    #[test]
    fn paths_are_those_of_the_specification() {
        let path = |level, index, width| Tile { level, index }.path(width);
        assert_eq!(path(0, 1_234_067, WIDTH), "tile/0/x001/x234/067");
        assert_eq!(path(0, 0, WIDTH), "tile/0/000");
        assert_eq!(path(2, 0, 1), "tile/2/000.p/1");
        assert_eq!(path(1, 1000, 17), "tile/1/x001/000.p/17");
        assert_eq!(numbered("tile/entries", 273, 112), "tile/entries/273.p/112");
    }

    /// The example of the specification: a tree of 70,000.
    #[test]
    fn tiles_of_a_tree() {
        let tiles: Vec<_> = all(70_000).collect();
        let count = |level, full| {
            let of =
                |(tile, width): &&(Tile, usize)| tile.level == level && (*width == WIDTH) == full;
            tiles.iter().filter(of).count()
        };
        assert_eq!((count(0, true), count(0, false)), (273, 1));
        assert_eq!((count(1, true), count(1, false)), (1, 1));
        assert_eq!((count(2, true), count(2, false)), (0, 1));
        let widths = tiles.iter().filter(|(_, width)| *width < WIDTH);
        let widths: Vec<usize> = widths.map(|(_, width)| *width).collect();
        assert_eq!(widths, [112, 17, 1]);
        assert_eq!(tiles.len(), 277);
        let of_256: Vec<_> = all(256).map(|(tile, width)| tile.path(width)).collect();
        assert_eq!(of_256, ["tile/0/000", "tile/1/000.p/1"]);
        assert_eq!(all(0).count(), 0);
    }

    #[test]
    fn proofs_from_tiles_hold_at_every_edge() {
        let mut grower = Grower::default();
        let mut kept = BTreeMap::new();
        let mut roots = vec![crate::EMPTY_ROOT];
        const LAST: u64 = 66_000;
        let leaf = |n: u64| leaf_hash(&n.to_le_bytes());
        for n in 0..LAST {
            grower.push(leaf(n), |tile, hashes| {
                assert_eq!(hashes.len(), WIDTH);
                assert!(kept.insert(tile, hashes).is_none());
            });
            roots.push(grower.root());
        }
        for (tile, hashes) in grower.partial() {
            assert_eq!(hashes.len(), tile.width_at(LAST));
            assert!(kept.insert(tile, hashes.to_vec()).is_none());
        }
        assert_eq!(kept.len(), all(LAST).count());
        let hashes = FromTiles(Kept(kept));
        let sizes = [
            1, 2, 255, 256, 257, 511, 512, 513, 65_535, 65_536, 65_537, LAST,
        ];
        for new in sizes {
            let top = &roots[new as usize];
            assert_eq!(merkle::root(&hashes, new).unwrap(), *top);
            for old in sizes.into_iter().filter(|old| *old <= new) {
                let path = merkle::consistency(&hashes, old, new).unwrap();
                merkle::verify_consistency(old, new, &roots[old as usize], top, &path).unwrap();
                let index = old - 1;
                let path = merkle::inclusion(&hashes, index, new).unwrap();
                merkle::verify_inclusion(&leaf(index), index, new, top, &path).unwrap();
            }
        }
    }

    #[test]
    fn bytes_of_a_tile() {
        assert_eq!(parse(&[7; 64]).unwrap(), [[7; 32]; 2]);
        for bad in [0, 1, 31, 33, FULL + 32] {
            assert!(parse(&vec![0; bad]).is_err(), "{bad}");
        }
        let tile = Tile { level: 1, index: 2 };
        assert_eq!(tile.records(0, 0), (512 * 256, 512 * 256 + 255));
    }
}
