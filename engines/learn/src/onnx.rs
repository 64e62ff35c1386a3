//! Writes a density as an ONNX file and reads such a file back.
//!
//! The reader takes exactly what the writer gives, so a file that is not ours (other operators, other shapes,
//! external data, a length that lies) goes no further than this.

use quantumos_onnx::{Graph, Node, Port, Tensor, tensors};

use crate::Error;
use crate::density::{Component, Density, MAX_COMPONENTS};

/// The name of the input: one row of features.
pub const INPUT: &str = "features";
/// The name of the output: one score.
pub const OUTPUT: &str = "score";
/// A model file is never longer than this, in bytes.
pub const MAX_LEN: usize = 256 * 1024;

/// Writes a density as an ONNX model.
#[must_use]
pub fn write(density: &Density) -> Vec<u8> {
    let width = density.width;
    let mut nodes = Vec::new();
    let mut weights = Vec::new();
    let mut sums = Vec::new();
    for (index, component) in density.components.iter().enumerate() {
        let name = |stem: &str| format!("{stem}{index}");
        let [a, b, o] = ["a", "b", "o"].map(name);
        let [turned, white, square, distance, sum] =
            ["turned", "white", "square", "distance", "sum"].map(name);
        nodes.extend([
            Node::new("MatMul", &[INPUT, &a], &turned),
            Node::new("Add", &[&turned, &b], &white),
            Node::new("Mul", &[&white, &white], &square),
            Node::new("MatMul", &[&square, "half"], &distance),
            Node::new("Add", &[&distance, &o], &sum),
        ]);
        weights.extend([
            Tensor::new(a, [width, width], &component.a),
            Tensor::new(b, [1, width], &component.b),
            Tensor::new(o, [1, 1], &[component.o]),
        ]);
        sums.push(sum);
    }
    weights.push(Tensor::new("half", [width, 1], &vec![0.5; width]));
    // With one component the two names of its sum are the same number.
    let first = sums.first().map_or("", String::as_str);
    let mut least = first.to_owned();
    for (index, sum) in sums.iter().enumerate().skip(1) {
        let next = format!("least{index}");
        nodes.push(Node::new("Min", &[&least, sum], &next));
        least = next;
    }
    nodes.push(Node::new("Min", &[&least, first], OUTPUT));
    let graph = Graph {
        name: "density",
        nodes,
        weights,
        input: Port { name: INPUT, width },
        output: Port {
            name: OUTPUT,
            width: 1,
        },
    };
    graph.write()
}

/// Reads a model that `write` could have written: its numbers are taken out, checked and written again, and a file
/// that differs in any byte is refused.
///
/// # Errors
/// `Error::Model` says what is not as expected.
pub fn read(model: &[u8]) -> Result<Density, Error> {
    let found = tensors(model, MAX_LEN, 3 * MAX_COMPONENTS + 1)
        .map_err(|error| Error::Model(error.to_string()))?;
    let width = found.last().map_or(0, |half| half.values.len());
    let components = found
        .chunks_exact(3)
        .map(|parts| Component {
            a: parts[0].values.clone(),
            b: parts[1].values.clone(),
            o: parts[2].values.first().copied().unwrap_or(f32::NAN),
        })
        .collect();
    let density = Density { width, components };
    density.check()?;
    if write(&density) != model {
        return Err(Error::Model(
            "its graph is not the one that the trainer writes".into(),
        ));
    }
    Ok(density)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn density(width: usize, components: usize) -> Density {
        let number = |seed: usize| (seed as f32 * 0.37).sin();
        let component = |index: usize| Component {
            a: (0..width * width).map(|i| number(i + index)).collect(),
            b: (0..width).map(|i| number(i * 3 + index)).collect(),
            o: number(index),
        };
        Density {
            width,
            components: (0..components).map(component).collect(),
        }
    }

    #[test]
    fn a_file_comes_back() {
        for (width, components) in [(1, 1), (3, 2), (19, 8), (64, 8)] {
            let density = density(width, components);
            assert_eq!(
                read(&write(&density)),
                Ok(density),
                "{width} x {components}"
            );
        }
        let mut wild = density(2, 1);
        wild.components[0].b[1] = f32::NAN;
        let text = read(&write(&wild)).map_or_else(|error| error.to_string(), |_| "taken".into());
        assert!(
            text.contains("b0 holds a number that is not finite"),
            "{text}"
        );
    }

    proptest! {
        #[test]
        fn a_changed_or_truncated_file_is_refused_or_another(at in any::<prop::sample::Index>(), bit in 0..8_u32) {
            let file = write(&density(3, 2));
            let at = at.index(file.len());
            prop_assert!(read(&file[..at]).is_err());
            let mut changed = file.clone();
            changed[at] ^= 1 << bit;
            if let Ok(read) = read(&changed) {
                prop_assert_eq!(write(&read), changed);
            }
        }
    }
}
