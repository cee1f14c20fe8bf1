//! How much memory a process has.

use std::fs;

use crate::Outcome;

/// Memory of this process, as Linux counts it.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// What it has now, in bytes: `VmRSS`.
    pub resident: u64,
    /// The most it has had, in bytes: `VmHWM`.
    pub peak: u64,
}

impl Memory {
    /// What this process has now.
    ///
    /// # Errors
    ///
    /// Where there is no `/proc/self/status`.
    pub fn now() -> Outcome<Self> {
        let status = fs::read_to_string("/proc/self/status")
            .map_err(|error| format!("memory is measured by /proc/self/status, which Linux has: {error}"))?;
        Ok(Self { resident: field(&status, "VmRSS:")?, peak: field(&status, "VmHWM:")? })
    }
}

/// A line such as `VmRSS:     1234 kB`, in bytes.
fn field(status: &str, name: &str) -> Outcome<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kib = line.and_then(|line| line.trim().strip_suffix("kB"));
    Ok(kib.ok_or_else(|| format!("/proc/self/status has no {name} in kB"))?.trim().parse::<u64>()? * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_in_bytes() -> Outcome<()> {
        assert_eq!(field("VmPeak:\t  9 kB\nVmHWM:\t    1234 kB\n", "VmHWM:")?, 1_263_616);
        assert!(field("VmHWM:\t    1234 kB\n", "VmRSS:").is_err());
        Ok(())
    }
}
