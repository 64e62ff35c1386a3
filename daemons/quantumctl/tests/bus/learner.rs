//! A double of ai-learnd with two models.

use quantumos_dbus::Error;
use quantumos_harness::PrivateBus;
use zbus::Connection;

use crate::services::{Service1, serve};

struct Learn1;

#[zbus::interface(name = "org.quantumos.Learn1")]
impl Learn1 {
    #[allow(clippy::type_complexity)]
    fn list_models(&self) -> Vec<(u64, u64, String, u32, f64, f64, f64, String)> {
        let row = |serial: u64, state: &str| {
            let reason = String::new();
            (
                serial,
                1_763_726_400,
                state.to_owned(),
                900,
                0.97,
                0.8,
                0.001,
                reason,
            )
        };
        vec![row(1, "kept"), row(2, "published")]
    }

    fn train(&self) -> Result<(u64, bool, String), Error> {
        Ok((0, false, "not better than model 2".to_owned()))
    }

    fn rollback(&self, serial: u64) -> Result<u64, Error> {
        match serial {
            0 => Ok(1),
            9 => Err(Error::NotFound("there is no model 9".into())),
            other => Ok(other),
        }
    }

    #[zbus(property)]
    fn windows(&self) -> u32 {
        1200
    }

    #[zbus(property)]
    fn needed(&self) -> u32 {
        1000
    }

    #[zbus(property)]
    fn published(&self) -> u64 {
        2
    }

    #[zbus(property)]
    fn training(&self) -> bool {
        false
    }

    #[zbus(property)]
    fn signer(&self) -> String {
        "00ff".to_owned()
    }
}

/// ai-learnd with two models.
pub async fn learn(bus: &PrivateBus) -> Connection {
    let connection = serve(bus, "ai-learnd", Service1::default(), Learn1).await;
    connection
        .request_name("org.quantumos.Learn1")
        .await
        .unwrap();
    connection
}
