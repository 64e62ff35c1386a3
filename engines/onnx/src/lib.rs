//! Writes small ONNX files, takes their weights back out, and runs them (feature `runtime`).
//!
//! Our models are a handful of operators over matrices of f32, so that a file can be checked without a runtime:
//! whoever reads one takes the weights out with [`tensors`], builds the graph that they belong to and writes it again
//! with [`Graph::write`]; a file that differs in any byte is not ours, and nothing can hide in it.
//! The format is onnx.proto3 of the ONNX specification, IR version 8 with operators of set 13.

mod graph;
#[cfg(feature = "runtime")]
mod runtime;
mod wire;

pub use graph::{Graph, Node, Port, Tensor, tensors};
#[cfg(feature = "runtime")]
pub use runtime::Runtime;

/// What is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Error(String);

impl Error {
    fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}
