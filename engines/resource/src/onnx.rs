//! Writes a network as an ONNX file and reads such a file back.
//!
//! The reader takes exactly what the writer gives: a daemon checks a model file with
//! it before any general runtime sees the bytes, so a file that is not ours (other
//! operators, other shapes, external data, a length that lies) goes no further.

use quantumos_onnx::{Graph, Node, Port, Tensor, tensors};

use crate::Error;
use crate::features::COUNT;
use crate::network::{MAX_HIDDEN, Network, OUTPUTS};

/// The name of the input: one row of features.
pub const INPUT: &str = "signals";
/// The name of the output: the pressure in 5 and 30 s as shares.
pub const OUTPUT: &str = "pressure";
/// A model file is never longer than this, in bytes.
pub const MAX_LEN: usize = 64 * 1024;

/// How many matrices a network has.
const WEIGHTS: usize = 5;

/// Writes a network as an ONNX model.
pub fn write(network: &Network) -> Vec<u8> {
    let hidden = network.hidden;
    let graph = Graph {
        name: "pressure",
        nodes: vec![
            Node::new("MatMul", &[INPUT, "w1"], "before"),
            Node::new("Add", &["before", "b1"], "biased"),
            Node::new("Relu", &["biased"], "active"),
            Node::new("MatMul", &["active", "w2"], "bent"),
            Node::new("MatMul", &[INPUT, "skip"], "straight"),
            Node::new("Add", &["bent", "straight"], "sum"),
            Node::new("Add", &["sum", "b2"], OUTPUT),
        ],
        weights: vec![
            Tensor::new("w1", [COUNT, hidden], &network.w1),
            Tensor::new("b1", [1, hidden], &network.b1),
            Tensor::new("w2", [hidden, OUTPUTS], &network.w2),
            Tensor::new("skip", [COUNT, OUTPUTS], &network.skip),
            Tensor::new("b2", [1, OUTPUTS], &network.b2),
        ],
        input: Port {
            name: INPUT,
            width: COUNT,
        },
        output: Port {
            name: OUTPUT,
            width: OUTPUTS,
        },
    };
    graph.write()
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
    let mut found =
        tensors(model, MAX_LEN, WEIGHTS).map_err(|error| Error::Model(error.to_string()))?;
    let mut take = |name: &str| -> Result<Tensor, Error> {
        let place = found.iter().position(|tensor| tensor.name == name);
        let place = place.ok_or_else(|| Error::Model(format!("no weights `{name}`")))?;
        Ok(found.swap_remove(place))
    };
    let w1 = take("w1")?;
    let [rows, hidden] = w1.shape;
    if rows != COUNT || !(1..=MAX_HIDDEN).contains(&hidden) {
        return Err(Error::Model(format!(
            "w1 is {rows} x {hidden}, {COUNT} x 1..{MAX_HIDDEN} expected"
        )));
    }
    let network = Network {
        hidden,
        w1: w1.values,
        b1: take("b1")?.values,
        w2: take("w2")?.values,
        skip: take("skip")?.values,
        b2: take("b2")?.values,
    };
    network.check()?;
    if write(&network) != model {
        return Err(Error::Model(
            "its graph is not the one that the trainer writes".into(),
        ));
    }
    Ok(network)
}
