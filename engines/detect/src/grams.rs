//! Many literals found in a text in one pass: each by three bytes of it that few texts have, looked up in a table of
//! bits, and compared where the bit is set. Most places of most texts cost one look-up that depends on no other, so
//! that a processor does several at a time, and the table of a thousand literals is two kilobytes.

use std::collections::BTreeMap;

/// Literals and, for each, what was added with it.
#[derive(Debug)]
pub(crate) struct Grams<T> {
    literals: Vec<Literal>,
    bytes: Vec<u8>,
    users: Vec<T>,
    triples: Table<3>,
    pairs: Table<2>,
    single: Table<1>,
}

#[derive(Debug)]
struct Literal {
    /// Where its bytes start and how many there are.
    from: u32,
    length: u32,
    cased: bool,
    /// Where its users start; they end where the next literal's do.
    users: u32,
}

/// Where a literal stands in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Found {
    /// At the text's start.
    pub(crate) at_start: bool,
    /// At the text's end.
    pub(crate) at_end: bool,
}

/// Sequences of `N` bytes and the literals that are found by them.
#[derive(Debug)]
struct Table<const N: usize> {
    /// Bits by hash; nothing where there are no sequences.
    bits: Option<Box<[u64; WORDS]>>,
    /// For each word how many bits are set in the words before.
    before: Vec<u16>,
    /// For each bit that is set where its entries start, and where the last ones end.
    starts: Vec<u32>,
    /// A literal, and how far from its start the sequence stands.
    entries: Vec<(u32, u32)>,
}

/// A table has this many words of 64 bits.
const WORDS: usize = 128;

/// Bytes that most paths and command lines hold.
const FREQUENT: &[u8] = b"/ etaoinsrlcdupmbhg-.";

/// Sequences that most paths and command lines hold.
const EVERYWHERE: [&[u8; 3]; 36] = [
    b"/us", b"usr", b"sr/", b"r/b", b"/bi", b"bin", b"in/", b"r/s", b"/sb", b"sbi", b"r/l", b"/li",
    b"lib", b"ib/", b"/et", b"etc", b"tc/", b"/va", b"var", b"ar/", b"/tm", b"tmp", b"mp/", b"/ho",
    b"hom", b"ome", b"me/", b"/pr", b"pro", b"roc", b"oc/", b"/sh", b" --", b" /u", b"log", b"/lo",
];

impl<T> Grams<T> {
    /// Of each literal its bytes, whether case counts, and its users. No literal may be empty; where case doesn't
    /// count, their letters are lower case.
    pub(crate) fn build(literals: BTreeMap<(Vec<u8>, bool), Vec<T>>) -> Option<Self> {
        let mut grams = Self {
            literals: Vec::with_capacity(literals.len() + 1),
            bytes: Vec::new(),
            users: Vec::new(),
            triples: Table::empty(),
            pairs: Table::empty(),
            single: Table::empty(),
        };
        let (mut triples, mut pairs, mut single) = (Uses::new(), Uses::new(), Uses::new());
        for ((literal, cased), users) in literals {
            let number = grams.literals.len() as u32;
            match literal.len() {
                0 => continue,
                1 => choose::<1>(&literal, number, &mut single),
                2 => choose::<2>(&literal, number, &mut pairs),
                _ => choose::<3>(&literal, number, &mut triples),
            }
            grams.push(&literal, cased);
            grams.users.extend(users);
        }
        let any = !grams.literals.is_empty();
        grams.push(b"", false);
        grams.triples = Table::build(triples);
        grams.pairs = Table::build(pairs);
        grams.single = Table::build(single);
        any.then_some(grams)
    }

    fn push(&mut self, literal: &[u8], cased: bool) {
        self.literals.push(Literal {
            from: self.bytes.len() as u32,
            length: literal.len() as u32,
            cased,
            users: self.users.len() as u32,
        });
        self.bytes.extend_from_slice(literal);
    }

    /// Calls `hit` for each place of each literal, in no order, with each of its users.
    pub(crate) fn search(&self, text: &[u8], hit: &mut impl FnMut(&T, Found)) {
        let mut found = |number: u32, at: usize| {
            let literal = &self.literals[number as usize];
            let length = literal.length as usize;
            let Some(there) = text.get(at..at + length) else {
                return;
            };
            let bytes = &self.bytes[literal.from as usize..][..length];
            if there == bytes || !literal.cased && there.eq_ignore_ascii_case(bytes) {
                let found = Found {
                    at_start: at == 0,
                    at_end: at + length == text.len(),
                };
                let users = literal.users..self.literals[number as usize + 1].users;
                for user in &self.users[users.start as usize..users.end as usize] {
                    hit(user, found);
                }
            }
        };
        self.triples.search(text, &mut found);
        self.pairs.search(text, &mut found);
        self.single.search(text, &mut found);
    }
}

/// By sequence, the literals that are found by it and where it stands in them.
type Uses = BTreeMap<u32, Vec<(u32, u32)>>;

/// Files a literal under the sequence that texts and other literals have the least.
fn choose<const N: usize>(literal: &[u8], number: u32, uses: &mut Uses) {
    let best = literal.windows(N).zip(0..).min_by_key(|(window, _)| {
        let known = EVERYWHERE.iter().any(|every| every[..] == window[..]);
        let frequent: usize = window
            .iter()
            .map(|byte| {
                let place = FREQUENT.iter().position(|known| known == byte);
                place.map_or(0, |place| FREQUENT.len() - place)
            })
            .sum();
        let crowd = uses.get(&(word(window) & MASK[N])).map_or(0, Vec::len);
        usize::from(known) * 1000 + frequent + crowd * 20
    });
    if let Some((window, offset)) = best {
        uses.entry(word(window) & MASK[N])
            .or_default()
            .push((number, offset));
    }
}

/// The bit of a sequence.
fn hash(word: u32) -> usize {
    const SHIFT: u32 = 32 - (WORDS * 64).ilog2();
    (word.wrapping_mul(0x9e37_79b1) >> SHIFT) as usize
}

impl<const N: usize> Table<N> {
    fn empty() -> Self {
        Self {
            bits: None,
            before: Vec::new(),
            starts: Vec::new(),
            entries: Vec::new(),
        }
    }

    fn build(uses: Uses) -> Self {
        let mut table = Self::empty();
        if uses.is_empty() {
            return table;
        }
        let mut bits = Box::new([0_u64; WORDS]);
        let mut by_hash: BTreeMap<usize, Vec<(u32, u32)>> = BTreeMap::new();
        for (word, entries) in uses {
            by_hash.entry(hash(word)).or_default().extend(entries);
        }
        for (hash, entries) in by_hash {
            bits[hash / 64] |= 1 << (hash % 64);
            table.starts.push(table.entries.len() as u32);
            table.entries.extend(entries);
        }
        table.starts.push(table.entries.len() as u32);
        let mut before = 0;
        for word in bits.iter() {
            table.before.push(before);
            before += word.count_ones() as u16;
        }
        table.bits = Some(bits);
        table
    }

    /// Calls `found` with each literal that may stand in the text, and where it would start.
    fn search(&self, text: &[u8], found: &mut impl FnMut(u32, usize)) {
        let Some(bits) = &self.bits else {
            return;
        };
        let is_set = |word: u32| {
            let hash = hash(word & MASK[N]);
            bits[hash / 64] >> (hash % 64) & 1
        };
        // Four bytes are read at each place, and those that count are taken. The last three places have fewer.
        let whole = text.len().saturating_sub(3);
        for from in (0..whole).step_by(64) {
            let mut places = 0_u64;
            for (place, bytes) in (0..64).zip(text[from..].windows(4)) {
                places |= is_set(word(bytes)) << place;
            }
            while places != 0 {
                let at = from + places.trailing_zeros() as usize;
                places &= places - 1;
                self.look(word(&text[at..]), at, found);
            }
        }
        for at in whole..text.len() {
            let last = word(&text[at..]);
            if is_set(last) != 0 {
                self.look(last, at, found);
            }
        }
    }

    /// The literals of a place whose bit is set.
    fn look(&self, word: u32, at: usize, found: &mut impl FnMut(u32, usize)) {
        let Some(bits) = &self.bits else {
            return;
        };
        let hash = hash(word & MASK[N]);
        let below = bits[hash / 64] & ((1 << (hash % 64)) - 1);
        let bucket = usize::from(self.before[hash / 64]) + below.count_ones() as usize;
        let entries = self.starts[bucket] as usize..self.starts[bucket + 1] as usize;
        for (literal, offset) in &self.entries[entries] {
            if let Some(start) = at.checked_sub(*offset as usize) {
                found(*literal, start);
            }
        }
    }
}

/// What of a word counts, by how many bytes do.
const MASK: [u32; 4] = [0, 0xff, 0xffff, 0xff_ffff];

/// The first four bytes as a number that is the same in upper and lower case; where there are fewer, zeros.
#[inline]
fn word(bytes: &[u8]) -> u32 {
    let word = match bytes.first_chunk() {
        Some(bytes) => u32::from_le_bytes(*bytes),
        None => bytes
            .iter()
            .rev()
            .fold(0, |word, byte| word << 8 | u32::from(*byte)),
    };
    word | 0x2020_2020
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn finds_what_is_there_and_nothing_else(
            literals in proptest::collection::btree_set(("[abAB/@`]{1,5}", any::<bool>()), 0..12),
            text in "[abAB/@`]{0,24}",
        ) {
            let literals: std::collections::BTreeSet<(Vec<u8>, bool)> = literals
                .into_iter()
                .map(|(text, cased)| match cased {
                    true => (text.into_bytes(), true),
                    false => (text.to_ascii_lowercase().into_bytes(), false),
                })
                .collect();
            let mut expected = Vec::new();
            for one in &literals {
                for (at, window) in text.as_bytes().windows(one.0.len()).enumerate() {
                    if window == one.0 || !one.1 && window.eq_ignore_ascii_case(&one.0) {
                        expected.push((one.clone(), at == 0, at + one.0.len() == text.len()));
                    }
                }
            }
            let uses = literals.into_iter().map(|one| (one.clone(), vec![one])).collect();
            let mut found = Vec::new();
            if let Some(grams) = Grams::build(uses) {
                grams.search(text.as_bytes(), &mut |one: &(Vec<u8>, bool), place| {
                    found.push((one.clone(), place.at_start, place.at_end));
                });
            }
            found.sort();
            expected.sort();
            prop_assert_eq!(found, expected);
        }
    }
}
