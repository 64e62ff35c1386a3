//! A Clifford gate as the images of X and Z on its one or two qubits.

use crate::stabilizer::Action;

/// A Pauli operator on two qubits: bits x0, z0, x1, z1 from the lowest (both bits are Y), and its sign.
pub type Signed = (u8, bool);

/// A Clifford gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clifford {
    /// One or two qubits.
    pub qubits: usize,
    /// What X0, Z0, X1 and Z1 become when the gate is behind them.
    pub images: [Signed; 4],
    /// For each new bit of a Pauli, which old bits are added up.
    pub(super) linear: [u8; 4],
    /// What X0, Z0, X1 and Z1 were before the gate.
    pub(super) origins: [Signed; 4],
}

impl Clifford {
    /// From the images of X0, Z0 (and X1, Z1): Paulis such as `-XZ`, the first letter the first qubit.
    /// Nothing for what is no such list or commutes wrongly.
    #[must_use]
    pub fn of_images(text: &str) -> Option<Self> {
        let mut images = [(0u8, false); 4];
        let mut qubits = 0;
        let mut count = 0;
        for word in text.split_ascii_whitespace() {
            let (letters, negative) = word
                .strip_prefix('-')
                .map_or((word, false), |rest| (rest, true));
            qubits = letters.len();
            let mut bits = 0;
            for (i, letter) in letters.bytes().enumerate().take(2) {
                let pauli = match letter {
                    b'I' => 0,
                    b'X' => 1,
                    b'Z' => 2,
                    b'Y' => 3,
                    _ => return None,
                };
                bits |= pauli << (2 * i);
            }
            *images.get_mut(count)? = (bits, negative);
            count += 1;
        }
        (count == 2 * qubits && (1..=2).contains(&qubits))
            .then(|| Self::new(qubits, images))
            .flatten()
    }

    /// What a gate of a circuit does, from its action on Paulis.
    #[must_use]
    pub fn of_action(action: &Action) -> Option<Self> {
        let odd = |set: u8, bits: u8| (set & bits).count_ones() & 1 == 1;
        let images = std::array::from_fn(|i| {
            let bits = 1u8 << i;
            let image = (0..4).fold(0u8, |all, out| {
                all | u8::from(odd(action.linear[out], bits)) << out
            });
            // A product of a set of bits is 1 for a single bit where the set has no other.
            let negative = action.sign.iter().filter(|&&set| set & !bits == 0).count() & 1 == 1;
            (image, negative)
        });
        Self::new(usize::from(action.qubits.max(1)), images)
    }

    fn new(qubits: usize, images: [Signed; 4]) -> Option<Self> {
        let mut gate = Self {
            qubits,
            images,
            linear: [0; 4],
            origins: [(0, false); 4],
        };
        if qubits == 1 {
            gate.images[2] = (4, false);
            gate.images[3] = (8, false);
        }
        for (input, (image, _)) in gate.images.iter().enumerate() {
            for output in 0..4 {
                gate.linear[output] |= (image >> output & 1) << input;
            }
        }
        for (wanted, origin) in gate.origins.iter_mut().enumerate() {
            let before = (0..16).find(|&bits| image(&gate.images, bits).0 == 1 << wanted)?;
            *origin = (before, image(&gate.images, before).1);
        }
        // Commuting must stay as it was; then signs come out real, too.
        let anti = |a: u8, b: u8| {
            let swapped = ((b & 5) << 1) | ((b >> 1) & 5);
            (a & swapped).count_ones() & 1 == 1
        };
        (0..4)
            .all(|i| {
                (0..4).all(|j| anti(gate.images[i].0, gate.images[j].0) == anti(1 << i, 1 << j))
            })
            .then_some(gate)
    }
}

/// The image of a Pauli, from those of X0, Z0, X1, Z1.
fn image(images: &[Signed; 4], bits: u8) -> Signed {
    let (mut out, mut power) = (0u8, 0u32);
    for (i, &(by, negative)) in images.iter().enumerate() {
        if bits >> i & 1 == 0 {
            continue;
        }
        // Y is i X Z: an i for each qubit with both.
        if i % 2 == 1 && bits >> (i - 1) & 1 == 1 {
            power += 1;
        }
        let (product, phase) = times(out, by);
        out = product;
        power += phase + 2 * u32::from(negative);
    }
    (out, power & 3 == 2)
}

/// The product of two Paulis, and the power of i before it.
fn times(a: u8, b: u8) -> (u8, u32) {
    let mut power = 0;
    for qubit in [0, 2] {
        let (p, q) = (a >> qubit & 3, b >> qubit & 3);
        // X, Y, Z as 0, 1, 2: the next times gives i, the one before -i.
        let place = |pauli: u8| match pauli {
            1 => 0,
            3 => 1,
            _ => 2,
        };
        if p != 0 && q != 0 && p != q {
            power += if (place(p) + 1) % 3 == place(q) { 1 } else { 3 };
        }
    }
    (a ^ b, power & 3)
}
