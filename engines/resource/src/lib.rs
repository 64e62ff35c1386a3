//! Pressure features, forecasts and the weight controller as pure functions.
