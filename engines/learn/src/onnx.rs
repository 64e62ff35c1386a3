//! Writes a density as an ONNX file and reads such a file back.
//!
//! The reader takes exactly what the writer gives, so a file that is not ours (other operators, other shapes,
//! external data, a length that lies) goes no further than this.

use crate::Error;
use crate::density::{Component, Density, MAX_COMPONENTS};
use crate::wire::{bytes, fields, number, only};

/// The name of the input: one row of features.
pub const INPUT: &str = "features";
/// The name of the output: one score.
pub const OUTPUT: &str = "score";
/// A model file is never longer than this, in bytes.
pub const MAX_LEN: usize = 256 * 1024;

/// Field numbers of onnx.proto (IR version 8, operators of set 13).
mod field {
    pub const MODEL_IR: u32 = 1;
    pub const MODEL_PRODUCER: u32 = 2;
    pub const MODEL_GRAPH: u32 = 7;
    pub const MODEL_OPSET: u32 = 8;
    pub const OPSET_VERSION: u32 = 2;
    pub const GRAPH_NODE: u32 = 1;
    pub const GRAPH_NAME: u32 = 2;
    pub const GRAPH_INITIALIZER: u32 = 5;
    pub const GRAPH_INPUT: u32 = 11;
    pub const GRAPH_OUTPUT: u32 = 12;
    pub const NODE_INPUT: u32 = 1;
    pub const NODE_OUTPUT: u32 = 2;
    pub const NODE_OP: u32 = 4;
    pub const TENSOR_DIMS: u32 = 1;
    pub const TENSOR_TYPE: u32 = 2;
    pub const TENSOR_NAME: u32 = 8;
    pub const TENSOR_RAW: u32 = 9;
    pub const VALUE_NAME: u32 = 1;
    pub const VALUE_TYPE: u32 = 2;
    pub const TYPE_TENSOR: u32 = 1;
    pub const TENSOR_TYPE_ELEMENT: u32 = 1;
    pub const TENSOR_TYPE_SHAPE: u32 = 2;
    pub const SHAPE_DIM: u32 = 1;
    pub const DIM_VALUE: u32 = 1;
}

const FLOAT: u64 = 1;
const IR_VERSION: u64 = 8;
const OPSET: u64 = 13;
const PRODUCER: &str = "quantumos";
const GRAPH: &str = "density";

/// Writes a density as an ONNX model.
#[must_use]
pub fn write(density: &Density) -> Vec<u8> {
    let width = density.width;
    let mut graph = Vec::new();
    let mut sums = Vec::new();
    for index in 0..density.components.len() {
        let name = |stem: &str| format!("{stem}{index}");
        node(&mut graph, "MatMul", &[INPUT, &name("a")], &name("turned"));
        node(
            &mut graph,
            "Add",
            &[&name("turned"), &name("b")],
            &name("white"),
        );
        node(
            &mut graph,
            "Mul",
            &[&name("white"), &name("white")],
            &name("square"),
        );
        node(
            &mut graph,
            "MatMul",
            &[&name("square"), "half"],
            &name("distance"),
        );
        let sum = name("sum");
        node(&mut graph, "Add", &[&name("distance"), &name("o")], &sum);
        sums.push(sum);
    }
    // With one component the two names of its sum are the same number.
    let first = sums.first().map_or("", String::as_str);
    let mut least = first.to_owned();
    for (index, sum) in sums.iter().enumerate().skip(1) {
        let next = format!("least{index}");
        node(&mut graph, "Min", &[&least, sum], &next);
        least = next;
    }
    node(&mut graph, "Min", &[&least, first], OUTPUT);
    bytes(&mut graph, field::GRAPH_NAME, GRAPH.as_bytes());
    for (index, component) in density.components.iter().enumerate() {
        initializer(
            &mut graph,
            &format!("a{index}"),
            [width, width],
            &component.a,
        );
        initializer(&mut graph, &format!("b{index}"), [1, width], &component.b);
        initializer(&mut graph, &format!("o{index}"), [1, 1], &[component.o]);
    }
    initializer(&mut graph, "half", [width, 1], &vec![0.5; width]);
    bytes(&mut graph, field::GRAPH_INPUT, &value_info(INPUT, width));
    bytes(&mut graph, field::GRAPH_OUTPUT, &value_info(OUTPUT, 1));
    let mut opset = Vec::new();
    number(&mut opset, field::OPSET_VERSION, OPSET);
    let mut model = Vec::new();
    number(&mut model, field::MODEL_IR, IR_VERSION);
    bytes(&mut model, field::MODEL_PRODUCER, PRODUCER.as_bytes());
    bytes(&mut model, field::MODEL_GRAPH, &graph);
    bytes(&mut model, field::MODEL_OPSET, &opset);
    model
}

fn node(graph: &mut Vec<u8>, operator: &str, inputs: &[&str], output: &str) {
    let mut node = Vec::new();
    for input in inputs {
        bytes(&mut node, field::NODE_INPUT, input.as_bytes());
    }
    bytes(&mut node, field::NODE_OUTPUT, output.as_bytes());
    bytes(&mut node, field::NODE_OP, operator.as_bytes());
    bytes(graph, field::GRAPH_NODE, &node);
}

fn initializer(graph: &mut Vec<u8>, name: &str, dims: [usize; 2], values: &[f32]) {
    let mut tensor = Vec::new();
    for dim in dims {
        number(&mut tensor, field::TENSOR_DIMS, dim as u64);
    }
    number(&mut tensor, field::TENSOR_TYPE, FLOAT);
    bytes(&mut tensor, field::TENSOR_NAME, name.as_bytes());
    let raw: Vec<u8> = values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    bytes(&mut tensor, field::TENSOR_RAW, &raw);
    bytes(graph, field::GRAPH_INITIALIZER, &tensor);
}

fn value_info(name: &str, width: usize) -> Vec<u8> {
    let mut shape = Vec::new();
    for size in [1, width] {
        let mut dim = Vec::new();
        number(&mut dim, field::DIM_VALUE, size as u64);
        bytes(&mut shape, field::SHAPE_DIM, &dim);
    }
    let mut tensor = Vec::new();
    number(&mut tensor, field::TENSOR_TYPE_ELEMENT, FLOAT);
    bytes(&mut tensor, field::TENSOR_TYPE_SHAPE, &shape);
    let mut kind = Vec::new();
    bytes(&mut kind, field::TYPE_TENSOR, &tensor);
    let mut info = Vec::new();
    bytes(&mut info, field::VALUE_NAME, name.as_bytes());
    bytes(&mut info, field::VALUE_TYPE, &kind);
    info
}

/// Reads a model that `write` could have written: its numbers are taken out, checked and written again, and a file
/// that differs in any byte is refused.
///
/// # Errors
/// `Error::Model` says what is not as expected.
pub fn read(model: &[u8]) -> Result<Density, Error> {
    if model.len() > MAX_LEN {
        return Err(Error::Model(format!(
            "{} bytes, at most {MAX_LEN} allowed",
            model.len()
        )));
    }
    let graph = only(model, field::MODEL_GRAPH, "graph")?;
    let mut found: Vec<(Vec<u8>, Vec<f32>)> = Vec::new();
    for item in fields(graph) {
        let (number, value) = item?;
        if number == field::GRAPH_INITIALIZER {
            if found.len() > 3 * MAX_COMPONENTS {
                return Err(Error::Model("too many weights".into()));
            }
            found.push(tensor(value.data()?)?);
        }
    }
    let width = found.last().map_or(0, |(_, half)| half.len());
    let components = found
        .chunks_exact(3)
        .map(|parts| Component {
            a: parts[0].1.clone(),
            b: parts[1].1.clone(),
            o: parts[2].1.first().copied().unwrap_or(f32::NAN),
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

fn tensor(data: &[u8]) -> Result<(Vec<u8>, Vec<f32>), Error> {
    let name = only(data, field::TENSOR_NAME, "name of weights")?.to_vec();
    let raw = only(data, field::TENSOR_RAW, "raw data of weights")?;
    let (values, _) = raw.as_chunks::<4>();
    let values = values.iter().map(|value| f32::from_le_bytes(*value));
    Ok((name, values.collect()))
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
