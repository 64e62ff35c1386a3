//! Runs a model by `ort`, with tract inside: no shared library, no telemetry, everything in this process.

use std::sync::OnceLock;

use ort::environment::Environment;
use ort::session::Session;
use ort::value::TensorRef;

use crate::Error;

/// A process may make one environment, ever: a model that is loaded again has to find the first one.
static ENVIRONMENT: OnceLock<Result<Environment, String>> = OnceLock::new();

/// A model that was loaded, with one input and one output.
pub struct Runtime {
    session: Session,
    input: &'static str,
    output: &'static str,
}

impl std::fmt::Debug for Runtime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Runtime")
            .field("input", &self.input)
            .field("output", &self.output)
            .finish_non_exhaustive()
    }
}

impl Runtime {
    /// Loads a model; `input` and `output` are the names of its ports.
    ///
    /// # Errors
    /// When the runtime can't start, or refuses the model.
    pub fn load(model: &[u8], input: &'static str, output: &'static str) -> Result<Self, Error> {
        let environment = ENVIRONMENT.get_or_init(|| {
            let _ = ort::set_api(ort_tract::api());
            ort::init()
                .with_telemetry(false)
                .build()
                .map_err(|error| error.to_string())
        });
        let environment = environment.as_ref().map_err(refused)?;
        let mut builder = Session::builder(environment).map_err(refused)?;
        let session = builder.commit_from_memory(model).map_err(refused)?;
        Ok(Self {
            session,
            input,
            output,
        })
    }

    /// What the model gives for one row of numbers.
    ///
    /// # Errors
    /// When the model takes another number of them, or has no such output of single precision.
    pub fn run(&mut self, row: &[f32]) -> Result<Vec<f32>, Error> {
        let input = TensorRef::from_array_view(([1_usize, row.len()], row)).map_err(refused)?;
        let outputs = self
            .session
            .run(ort::inputs![self.input => input])
            .map_err(refused)?;
        let output = outputs
            .get(self.output)
            .ok_or_else(|| Error::new(format!("runtime: no output `{}`", self.output)))?;
        let (_, values) = output.try_extract_tensor::<f32>().map_err(refused)?;
        Ok(values.to_vec())
    }
}

fn refused(error: impl std::fmt::Display) -> Error {
    Error::new(format!("runtime: {error}"))
}
