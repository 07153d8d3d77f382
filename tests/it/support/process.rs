//! What a running hub takes of the machine, by the kernel's own books.

use std::fs;

use super::hub::Hub;

impl Hub {
    /// Bytes of memory that it has in use now.
    pub fn memory(&self) -> usize {
        self.status("VmRSS:")
    }

    /// The most it ever had.
    pub fn memory_peak(&self) -> usize {
        self.status("VmHWM:")
    }

    fn status(&self, field: &str) -> usize {
        let path = format!("/proc/{}/status", self.process_id());
        let text = fs::read_to_string(path).expect("a hub that runs");
        let line = text.lines().find_map(|line| line.strip_prefix(field));
        let kilobytes =
            line.and_then(|rest| rest.trim().strip_suffix(" kB")?.parse::<usize>().ok());
        1024 * kilobytes.unwrap_or_else(|| panic!("no {field} in {text}"))
    }

    /// Descriptors that it has open, sockets among them.
    pub fn descriptors(&self) -> usize {
        let path = format!("/proc/{}/fd", self.process_id());
        fs::read_dir(path).expect("a hub that runs").count()
    }
}
