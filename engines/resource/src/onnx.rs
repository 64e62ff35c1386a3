//! Writes a network as an ONNX file and reads such a file back.
//!
//! The reader takes exactly what the writer gives: a daemon checks a model file with
//! it before any general runtime sees the bytes, so a file that is not ours (other
//! operators, other shapes, external data, a length that lies) goes no further.

use crate::Error;
use crate::features::COUNT;
use crate::network::{MAX_HIDDEN, Network, OUTPUTS};

/// The name of the input: one row of features.
pub const INPUT: &str = "signals";
/// The name of the output: the pressure in 5 and 30 s as shares.
pub const OUTPUT: &str = "pressure";
/// A model file is never longer than this, in bytes.
pub const MAX_LEN: usize = 64 * 1024;

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
const GRAPH: &str = "pressure";

/// The operators in their order: operator, inputs, output.
const NODES: [(&str, [&str; 2], &str); 7] = [
    ("MatMul", [INPUT, "w1"], "before"),
    ("Add", ["before", "b1"], "biased"),
    ("Relu", ["biased", ""], "active"),
    ("MatMul", ["active", "w2"], "bent"),
    ("MatMul", [INPUT, "skip"], "straight"),
    ("Add", ["bent", "straight"], "sum"),
    ("Add", ["sum", "b2"], OUTPUT),
];

/// Writes a network as an ONNX model.
pub fn write(network: &Network) -> Vec<u8> {
    let hidden = network.hidden;
    let mut graph = Vec::new();
    for (operator, inputs, output) in NODES {
        let mut node = Vec::new();
        for input in inputs.into_iter().filter(|input| !input.is_empty()) {
            bytes(&mut node, field::NODE_INPUT, input.as_bytes());
        }
        bytes(&mut node, field::NODE_OUTPUT, output.as_bytes());
        bytes(&mut node, field::NODE_OP, operator.as_bytes());
        bytes(&mut graph, field::GRAPH_NODE, &node);
    }
    bytes(&mut graph, field::GRAPH_NAME, GRAPH.as_bytes());
    for (name, dims, values) in [
        ("w1", [COUNT, hidden], &network.w1),
        ("b1", [1, hidden], &network.b1),
        ("w2", [hidden, OUTPUTS], &network.w2),
        ("skip", [COUNT, OUTPUTS], &network.skip),
        ("b2", [1, OUTPUTS], &network.b2),
    ] {
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
        bytes(&mut graph, field::GRAPH_INITIALIZER, &tensor);
    }
    bytes(&mut graph, field::GRAPH_INPUT, &value_info(INPUT, COUNT));
    bytes(
        &mut graph,
        field::GRAPH_OUTPUT,
        &value_info(OUTPUT, OUTPUTS),
    );
    let mut opset = Vec::new();
    number(&mut opset, field::OPSET_VERSION, OPSET);
    let mut model = Vec::new();
    number(&mut model, field::MODEL_IR, IR_VERSION);
    bytes(&mut model, field::MODEL_PRODUCER, PRODUCER.as_bytes());
    bytes(&mut model, field::MODEL_GRAPH, &graph);
    bytes(&mut model, field::MODEL_OPSET, &opset);
    model
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

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn number(out: &mut Vec<u8>, field: u32, value: u64) {
    varint(out, u64::from(field) << 3);
    varint(out, value);
}

fn bytes(out: &mut Vec<u8>, field: u32, data: &[u8]) {
    varint(out, u64::from(field) << 3 | 2);
    varint(out, data.len() as u64);
    out.extend_from_slice(data);
}

/// Reads a model that `write` could have written.
///
/// The weights are taken out of the file, checked (sizes, finite numbers) and written
/// again; a file that differs in any byte from what comes out is refused, so nothing
/// can hide in it.
///
/// # Errors
/// `Error::Model` says what is not as expected.
pub fn read(model: &[u8]) -> Result<Network, Error> {
    if model.len() > MAX_LEN {
        return Err(Error::Model(format!(
            "{} bytes, at most {MAX_LEN} allowed",
            model.len()
        )));
    }
    let graph = only(model, field::MODEL_GRAPH, "graph")?;
    let mut found: Vec<(String, [u64; 2], Vec<f32>)> = Vec::new();
    for item in fields(graph) {
        let (number, value) = item?;
        if number == field::GRAPH_INITIALIZER {
            if found.len() >= 5 {
                return Err(Error::Model("more than five weights".into()));
            }
            found.push(tensor(value.data()?)?);
        }
    }
    let mut take = |name: &str| -> Result<([u64; 2], Vec<f32>), Error> {
        let place = found.iter().position(|(found, ..)| found == name);
        let place = place.ok_or_else(|| Error::Model(format!("no weights `{name}`")))?;
        let (_, dims, values) = found.swap_remove(place);
        Ok((dims, values))
    };
    let (dims, w1) = take("w1")?;
    if dims[0] != COUNT as u64 || !(1..=MAX_HIDDEN as u64).contains(&dims[1]) {
        return Err(Error::Model(format!(
            "w1 is {} x {}, {COUNT} x 1..{MAX_HIDDEN} expected",
            dims[0], dims[1]
        )));
    }
    let network = Network {
        hidden: dims[1] as usize,
        w1,
        b1: take("b1")?.1,
        w2: take("w2")?.1,
        skip: take("skip")?.1,
        b2: take("b2")?.1,
    };
    network.check()?;
    if write(&network) != model {
        return Err(Error::Model(
            "its graph is not the one that the trainer writes".into(),
        ));
    }
    Ok(network)
}

fn tensor(data: &[u8]) -> Result<(String, [u64; 2], Vec<f32>), Error> {
    let mut dims = Vec::new();
    for item in fields(data) {
        if let (field::TENSOR_DIMS, Value::Number(size)) = item? {
            dims.push(size);
        }
    }
    let [rows, columns] = dims[..] else {
        return Err(Error::Model(format!(
            "weights with {} dimensions, 2 expected",
            dims.len()
        )));
    };
    let name =
        String::from_utf8_lossy(only(data, field::TENSOR_NAME, "name of weights")?).into_owned();
    let raw = only(data, field::TENSOR_RAW, "raw data of weights")?;
    if rows
        .checked_mul(columns)
        .and_then(|count| count.checked_mul(4))
        != Some(raw.len() as u64)
    {
        return Err(Error::Model(format!(
            "{} bytes of weights for {rows} x {columns} numbers",
            raw.len()
        )));
    }
    let (values, _) = raw.as_chunks::<4>();
    Ok((
        name,
        [rows, columns],
        values
            .iter()
            .map(|value| f32::from_le_bytes(*value))
            .collect(),
    ))
}

fn only<'a>(data: &'a [u8], wanted: u32, what: &str) -> Result<&'a [u8], Error> {
    for item in fields(data) {
        let (number, value) = item?;
        if number == wanted {
            return value.data();
        }
    }
    Err(Error::Model(format!("no {what}")))
}

enum Value<'a> {
    Number(u64),
    Data(&'a [u8]),
}

impl<'a> Value<'a> {
    fn data(&self) -> Result<&'a [u8], Error> {
        match self {
            Self::Data(data) => Ok(data),
            Self::Number(_) => Err(Error::Model("a number where bytes belong".into())),
        }
    }
}

/// Walks the fields of one protobuf message; ends after the first error.
fn fields(data: &[u8]) -> impl Iterator<Item = Result<(u32, Value<'_>), Error>> {
    let mut rest = data;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let item = one(&mut rest).ok_or_else(|| Error::Model("truncated, or not protobuf".into()));
        if item.is_err() {
            rest = &[];
        }
        Some(item)
    })
}

fn one<'a>(rest: &mut &'a [u8]) -> Option<(u32, Value<'a>)> {
    let key = read_varint(rest)?;
    let number = u32::try_from(key >> 3).ok()?;
    let value = match key & 7 {
        0 => Value::Number(read_varint(rest)?),
        2 => {
            let length = usize::try_from(read_varint(rest)?).ok()?;
            let (data, more) = rest.split_at_checked(length)?;
            *rest = more;
            Value::Data(data)
        }
        _ => return None,
    };
    Some((number, value))
}

fn read_varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, more) = rest.split_first()?;
        *rest = more;
        value |= u64::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}
