//! Circuit tasks as quantumd hands them to the process that runs them: whatever a caller asks for, sweeps,
//! gradients, noise, amplitudes, it is planned within its bytes and answered, or refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use quantumos_circuit::Watch;
use quantumos_circuit::task::Task;

const BYTES: u64 = 1 << 22;

fuzz_target!(|bytes: &[u8]| {
    let Ok(mut task) = serde_json::from_slice::<Task>(bytes) else {
        return;
    };
    // Slow to wait for here: many shots, many points, and loops that never end.
    task.shots = task.shots.map(|shots| shots % 4);
    task.sweep.values_mut().for_each(|values| values.truncate(4));
    if task.circuit.len() > 2000 || task.circuit.contains("while") || task.circuit.contains("REPEAT") {
        return;
    }
    if let Ok(ready) = task.ready(1, BYTES) {
        assert!(ready.bytes <= BYTES, "{} bytes", ready.bytes);
        let _ = ready.run(&Watch::default());
    }
});
