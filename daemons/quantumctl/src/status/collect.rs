//! Asks every daemon for its state, all at once, each within a few seconds.
//! A daemon that is not there is not started by asking, and a daemon that hangs or answers
//! nonsense is reported, not waited for.

use std::time::Duration;

use futures_util::future::join_all;
use quantumos_dbus::{
    DIMENSIONS, Resource1Proxy, SERVICES, Service, Steppps1Proxy, bus_name, path,
};
use serde_json::Value as Json;

use super::model::{
    Detail, DimensionHealth, Pressure, Resource, ServiceProperties, ServiceStatus, Status, Steppps,
};
use crate::{bus::Bus, error::Error, text::value};

/// Longest wait for one daemon.
const PATIENCE: Duration = Duration::from_secs(5);

/// All daemons.
pub async fn status(bus: &Bus) -> Status {
    let asked = SERVICES.iter().map(|service| one(bus, service));
    Status::new(join_all(asked).await)
}

/// One daemon.
pub async fn one(bus: &Bus, service: &Service) -> ServiceStatus {
    let empty = ServiceStatus {
        name: service.unit.to_owned(),
        bus_name: service.bus_name.to_owned(),
        state: "not running".to_owned(),
        ..ServiceStatus::default()
    };
    let unreachable = |error: String| ServiceStatus {
        state: "unreachable".to_owned(),
        error: Some(error),
        ..empty.clone()
    };
    match bus.owner(service.bus_name).await {
        Ok(None) => return empty,
        Err(error) => return unreachable(error.to_string()),
        Ok(Some(_)) => {}
    }
    match tokio::time::timeout(PATIENCE, ask(bus, service, empty.clone())).await {
        Ok(Ok(status)) => status,
        Ok(Err(Error::NotRunning { .. })) => empty,
        Ok(Err(error)) => unreachable(error.to_string()),
        Err(_) => unreachable(format!("no answer within {} s", PATIENCE.as_secs())),
    }
}

async fn ask(
    bus: &Bus,
    service: &Service,
    mut status: ServiceStatus,
) -> Result<ServiceStatus, Error> {
    let properties: ServiceProperties = bus
        .record(service.bus_name, service.path, "org.quantumos.Service1")
        .await?;
    status.running = true;
    status.version = properties.version;
    status.state = properties.state;
    status.problems = properties.problems;
    status.configuration_error = properties.configuration_error;
    match detail(bus, service).await {
        Ok(detail) => status.detail = Some(detail),
        Err(error) => status.error = Some(error.to_string()),
    }
    Ok(status)
}

async fn detail(bus: &Bus, service: &Service) -> Result<Detail, Error> {
    let (name, path) = (service.bus_name, service.path);
    Ok(match name {
        bus_name::QUANTUM => Detail::Quantum(bus.record(name, path, name).await?),
        bus_name::SECURITY => Detail::Security(bus.record(name, path, name).await?),
        bus_name::RESOURCE => Detail::Resource(resource(bus).await?),
        bus_name::LEARN => Detail::Learn(bus.record(name, path, name).await?),
        _ => Detail::Steppps(steppps(bus).await?),
    })
}

/// Mode, model and pressure of resource-ai.
pub async fn resource(bus: &Bus) -> Result<Resource, Error> {
    let properties = bus
        .properties(bus_name::RESOURCE, path::RESOURCE, bus_name::RESOURCE)
        .await?;
    let mut properties = value::object(&properties);
    let mode = match properties.remove("Mode") {
        Some(Json::String(mode)) => mode,
        _ => return Err(Error::Answer("resource-ai: no Mode".to_owned())),
    };
    let model = match properties.remove("Model") {
        Some(Json::Object(model)) => model,
        _ => return Err(Error::Answer("resource-ai: no Model".to_owned())),
    };
    let proxy = Resource1Proxy::builder(bus.connection())
        .cache_properties(zbus::proxy::CacheProperties::No)
        .build()
        .await?;
    let pressure = proxy.pressure().await?;
    Ok(Resource {
        mode,
        model,
        pressure: pressure.into_iter().map(Pressure::from).collect(),
    })
}

/// Health of the dimensions.
pub async fn steppps(bus: &Bus) -> Result<Steppps, Error> {
    let proxy = Steppps1Proxy::builder(bus.connection())
        .cache_properties(zbus::proxy::CacheProperties::No)
        .build()
        .await?;
    let snapshot = proxy.snapshot().await?;
    let mut dimensions: Vec<DimensionHealth> = snapshot
        .iter()
        .map(|(name, values)| {
            let values = value::object(values);
            let text = |key: &str| match values.get(key) {
                Some(Json::String(text)) => text.clone(),
                _ => String::new(),
            };
            DimensionHealth {
                name: name.clone(),
                available: values.get("Available") == Some(&Json::Bool(true)),
                health: text("Health"),
                reason: text("Reason"),
            }
        })
        .collect();
    dimensions.sort_by_key(|dimension| (rank(&dimension.name), dimension.name.clone()));
    Ok(Steppps { dimensions })
}

/// Place of a dimension in the order of the name.
pub fn rank(dimension: &str) -> usize {
    DIMENSIONS
        .iter()
        .position(|name| *name == dimension)
        .unwrap_or(DIMENSIONS.len())
}
