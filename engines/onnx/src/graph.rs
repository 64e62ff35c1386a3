//! Graphs of operators over matrices of f32, as ONNX files.

use crate::Error;
use crate::wire::{Value, bytes, fields, number, only};

/// Field numbers of onnx.proto.
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

/// An operator with no attributes and one output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// The ONNX operator: `MatMul`, `Add`, …
    pub operator: &'static str,
    /// The names of its inputs.
    pub inputs: Vec<String>,
    /// The name of its output.
    pub output: String,
}

impl Node {
    /// An operator by name, inputs and output.
    #[must_use]
    pub fn new(operator: &'static str, inputs: &[&str], output: &str) -> Self {
        Self {
            operator,
            inputs: inputs.iter().map(|&name| name.to_owned()).collect(),
            output: output.to_owned(),
        }
    }
}

/// A matrix of weights, row by row.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    /// Its name in the graph.
    pub name: String,
    /// Rows and columns.
    pub shape: [usize; 2],
    /// Rows times columns numbers.
    pub values: Vec<f32>,
}

impl Tensor {
    /// A matrix by name, rows and columns, and values.
    #[must_use]
    pub fn new(name: impl Into<String>, shape: [usize; 2], values: &[f32]) -> Self {
        Self {
            name: name.into(),
            shape,
            values: values.to_vec(),
        }
    }
}

/// An input or output: one row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Port {
    /// Its name.
    pub name: &'static str,
    /// How many numbers the row has.
    pub width: usize,
}

/// A model: one row in, one row out.
#[derive(Debug, Clone, PartialEq)]
pub struct Graph {
    /// Its name.
    pub name: &'static str,
    /// The operators in the order in which they run.
    pub nodes: Vec<Node>,
    /// The weights.
    pub weights: Vec<Tensor>,
    /// What goes in.
    pub input: Port,
    /// What comes out.
    pub output: Port,
}

impl Graph {
    /// The model as an ONNX file; the same graph gives the same bytes.
    #[must_use]
    pub fn write(&self) -> Vec<u8> {
        let mut graph = Vec::new();
        for node in &self.nodes {
            let mut out = Vec::new();
            for input in &node.inputs {
                bytes(&mut out, field::NODE_INPUT, input.as_bytes());
            }
            bytes(&mut out, field::NODE_OUTPUT, node.output.as_bytes());
            bytes(&mut out, field::NODE_OP, node.operator.as_bytes());
            bytes(&mut graph, field::GRAPH_NODE, &out);
        }
        bytes(&mut graph, field::GRAPH_NAME, self.name.as_bytes());
        for weights in &self.weights {
            bytes(&mut graph, field::GRAPH_INITIALIZER, &tensor(weights));
        }
        bytes(&mut graph, field::GRAPH_INPUT, &value_info(self.input));
        bytes(&mut graph, field::GRAPH_OUTPUT, &value_info(self.output));
        let mut opset = Vec::new();
        number(&mut opset, field::OPSET_VERSION, OPSET);
        let mut model = Vec::new();
        number(&mut model, field::MODEL_IR, IR_VERSION);
        bytes(&mut model, field::MODEL_PRODUCER, PRODUCER.as_bytes());
        bytes(&mut model, field::MODEL_GRAPH, &graph);
        bytes(&mut model, field::MODEL_OPSET, &opset);
        model
    }
}

fn tensor(weights: &Tensor) -> Vec<u8> {
    let mut out = Vec::new();
    for size in weights.shape {
        number(&mut out, field::TENSOR_DIMS, size as u64);
    }
    number(&mut out, field::TENSOR_TYPE, FLOAT);
    bytes(&mut out, field::TENSOR_NAME, weights.name.as_bytes());
    let values = weights.values.iter();
    let raw: Vec<u8> = values.flat_map(|value| value.to_le_bytes()).collect();
    bytes(&mut out, field::TENSOR_RAW, &raw);
    out
}

fn value_info(port: Port) -> Vec<u8> {
    let mut shape = Vec::new();
    for size in [1, port.width] {
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
    bytes(&mut info, field::VALUE_NAME, port.name.as_bytes());
    bytes(&mut info, field::VALUE_TYPE, &kind);
    info
}

/// Takes the weights out of an ONNX file, in their order there.
///
/// # Errors
/// A file longer than `longest` bytes, more than `most` weights, a tensor that is no matrix of f32, lengths that lie.
pub fn tensors(model: &[u8], longest: usize, most: usize) -> Result<Vec<Tensor>, Error> {
    if model.len() > longest {
        let length = model.len();
        return Err(Error::new(format!(
            "{length} bytes, at most {longest} allowed"
        )));
    }
    let mut found = Vec::new();
    for item in fields(only(model, field::MODEL_GRAPH, "graph")?) {
        let (number, value) = item?;
        if number == field::GRAPH_INITIALIZER {
            if found.len() >= most {
                return Err(Error::new(format!("more than {most} weights")));
            }
            found.push(read_tensor(value.data()?)?);
        }
    }
    Ok(found)
}

fn read_tensor(data: &[u8]) -> Result<Tensor, Error> {
    let mut sizes = Vec::new();
    for item in fields(data) {
        if let (field::TENSOR_DIMS, Value::Number(size)) = item? {
            sizes.push(usize::try_from(size).unwrap_or(usize::MAX));
        }
    }
    let [rows, columns] = sizes[..] else {
        let dimensions = sizes.len();
        return Err(Error::new(format!(
            "weights with {dimensions} dimensions, 2 expected"
        )));
    };
    let name = only(data, field::TENSOR_NAME, "name of weights")?;
    let raw = only(data, field::TENSOR_RAW, "raw data of weights")?;
    let expected = rows
        .checked_mul(columns)
        .and_then(|count| count.checked_mul(4));
    if expected != Some(raw.len()) {
        let length = raw.len();
        return Err(Error::new(format!(
            "{length} bytes of weights for {rows} x {columns} numbers"
        )));
    }
    let (values, _) = raw.as_chunks::<4>();
    Ok(Tensor {
        name: String::from_utf8_lossy(name).into_owned(),
        shape: [rows, columns],
        values: values
            .iter()
            .map(|value| f32::from_le_bytes(*value))
            .collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn graph() -> Graph {
        Graph {
            name: "double",
            nodes: vec![Node::new("MatMul", &["in", "w"], "out")],
            weights: vec![
                Tensor::new("w", [2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]),
                Tensor::new("unused", [1, 1], &[-0.5]),
            ],
            input: Port {
                name: "in",
                width: 2,
            },
            output: Port {
                name: "out",
                width: 3,
            },
        }
    }

    #[test]
    fn weights_come_back_in_their_order() {
        let graph = graph();
        assert_eq!(tensors(&graph.write(), 4096, 2), Ok(graph.weights));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let file = graph().write();
        let mut short = graph();
        short.weights[0].values.pop();
        let mut flat = Vec::new();
        number(&mut flat, field::TENSOR_DIMS, 6);
        let mut inner = Vec::new();
        bytes(&mut inner, field::GRAPH_INITIALIZER, &flat);
        let mut model = Vec::new();
        bytes(&mut model, field::MODEL_GRAPH, &inner);
        for (file, longest, most, reason) in [
            (&file, 10, 2, "at most 10 allowed"),
            (&file, 4096, 1, "more than 1 weights"),
            (
                &short.write(),
                4096,
                2,
                "20 bytes of weights for 2 x 3 numbers",
            ),
            (&model, 4096, 2, "weights with 1 dimensions, 2 expected"),
            (
                &file[..file.len() / 2].to_vec(),
                4096,
                2,
                "truncated, or not protobuf",
            ),
            (&Vec::new(), 4096, 2, "no graph"),
        ] {
            let text = tensors(file, longest, most)
                .map_or_else(|error| error.to_string(), |_| "taken".into());
            assert!(text.contains(reason), "{text}: {reason}");
        }
    }

    proptest! {
        #[test]
        fn nothing_makes_the_reader_fail_badly(data in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = tensors(&data, 4096, 4);
        }
    }
}
