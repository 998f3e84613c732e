//! Which pages of an instance's memory were written.
//!
//! Two ways, both of Linux 6.7 and later, both exact by construction and checked against each other in the tests:
//!
//! * `Protect`: userfaultfd in its asynchronous write-protect mode. The kernel clears a page's mark when it is written;
//!   `PAGEMAP_SCAN` finds the pages without one. No signal, no message, no thread.
//! * `Scan`: a page of a private file mapping that was written is a private page for ever after. Where the running thread
//!   had no page fault no new page can have become private, so that most runs need no scan.
//!
//! Elsewhere instances are used once.

use super::image::PAGE;
use std::ops::Range;

/// How a slot finds its written pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Tracking {
    /// userfaultfd, write-protect, asynchronous.
    Protect,
    /// Private pages by `PAGEMAP_SCAN`, after runs with page faults.
    Scan,
}

impl Tracking {
    /// What this kernel and this process's rights allow, the better first.
    pub fn available() -> Vec<Self> {
        static FOUND: std::sync::OnceLock<Vec<Tracking>> = std::sync::OnceLock::new();
        FOUND.get_or_init(|| [Self::Scan, Self::Protect].into_iter().filter(|way| way.works()).collect()).clone()
    }

    #[cfg(target_os = "linux")]
    fn works(self) -> bool {
        linux::self_test(self)
    }

    #[cfg(not(target_os = "linux"))]
    fn works(self) -> bool {
        false
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) use elsewhere::{Tracker, thread_faults};
#[cfg(target_os = "linux")]
pub(super) use linux::{Tracker, thread_faults};

#[cfg(not(target_os = "linux"))]
mod elsewhere {
    use super::{Range, Tracking};
    use std::io;

    pub(crate) enum Tracker {}

    impl Tracker {
        pub fn new(_: Tracking, _: *mut u8, _: usize) -> io::Result<Self> {
            Err(io::ErrorKind::Unsupported.into())
        }

        pub fn written(&mut self, _: u64, _: &mut Vec<Range<usize>>) -> io::Result<()> {
            match *self {}
        }

        pub fn private(&mut self, _: &mut Vec<Range<usize>>) -> io::Result<()> {
            match *self {}
        }
    }

    pub(crate) fn thread_faults() -> u64 {
        0
    }
}

#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
mod linux {
    use super::{PAGE, Range, Tracking};
    use crate::sandbox::image::unnamed_file;
    use std::fs::File;
    use std::io;
    use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};

    const PAGE_IS_WRITTEN: u64 = 1 << 1;
    const PAGE_IS_FILE: u64 = 1 << 2;
    const PAGE_IS_PRESENT: u64 = 1 << 3;
    const PAGE_IS_SWAPPED: u64 = 1 << 4;
    const PAGE_IS_PFNZERO: u64 = 1 << 5;
    /// `_IOWR('f', 16, struct pm_scan_arg)`
    const PAGEMAP_SCAN: libc::c_ulong = 0xc060_6610;
    /// `_IOWR(0xAA, 0x3F, struct uffdio_api)` and its like.
    const UFFDIO_API: libc::c_ulong = 0xc018_aa3f;
    const UFFDIO_REGISTER: libc::c_ulong = 0xc020_aa00;
    const UFFDIO_WRITEPROTECT: libc::c_ulong = 0xc018_aa06;
    const UFFD_API: u64 = 0xaa;
    const UFFD_FEATURE_WP_UNPOPULATED: u64 = 1 << 13;
    const UFFD_FEATURE_WP_ASYNC: u64 = 1 << 15;
    const UFFDIO_REGISTER_MODE_WP: u64 = 1 << 1;
    const UFFDIO_WRITEPROTECT_MODE_WP: u64 = 1;
    const UFFD_USER_MODE_ONLY: libc::c_int = 1;

    #[repr(C)]
    #[derive(Default, Clone, Copy)]
    struct Region {
        start: u64,
        end: u64,
        categories: u64,
    }

    #[repr(C)]
    #[derive(Default)]
    struct ScanArguments {
        size: u64,
        flags: u64,
        start: u64,
        end: u64,
        walk_end: u64,
        regions: u64,
        regions_len: u64,
        max_pages: u64,
        category_inverted: u64,
        category_mask: u64,
        category_anyof_mask: u64,
        return_mask: u64,
    }

    /// What pages are looked for: with all of these marks, none of those, and any of the last.
    struct Categories {
        all: u64,
        none: u64,
        any: u64,
    }

    #[repr(C)]
    struct Api {
        version: u64,
        features: u64,
        ioctls: u64,
    }

    #[repr(C)]
    struct Register {
        start: u64,
        len: u64,
        mode: u64,
        ioctls: u64,
    }

    #[repr(C)]
    struct WriteProtect {
        start: u64,
        len: u64,
        mode: u64,
    }

    fn ioctl<T>(descriptor: &impl std::os::fd::AsRawFd, request: libc::c_ulong, argument: &mut T) -> io::Result<usize> {
        // SAFETY: each request is used with the structure that the kernel's interface names for it.
        let code = unsafe { libc::ioctl(descriptor.as_raw_fd(), request as _, std::ptr::from_mut(argument)) };
        usize::try_from(code).map_err(|_| io::Error::last_os_error())
    }

    /// Page faults of this thread so far.
    pub(crate) fn thread_faults() -> u64 {
        // SAFETY: `rusage` is plain numbers, and the kernel fills it.
        let usage = unsafe {
            let mut usage = std::mem::zeroed::<libc::rusage>();
            libc::getrusage(libc::RUSAGE_THREAD, &raw mut usage);
            usage
        };
        usage.ru_minflt.cast_unsigned() + usage.ru_majflt.cast_unsigned()
    }

    /// Finds written pages of one range of memory.
    pub(crate) struct Tracker {
        start: u64,
        len: u64,
        pagemap: File,
        protector: Option<OwnedFd>,
        regions: Vec<Region>,
    }

    impl Tracker {
        /// Starts to watch `len` bytes, a private mapping of a file.
        pub fn new(way: Tracking, start: *mut u8, len: usize) -> io::Result<Self> {
            let pagemap = File::open("/proc/self/pagemap")?;
            let (start, len) = (start.addr() as u64, len as u64);
            let protector = match way {
                Tracking::Protect => Some(protector(start, len)?),
                Tracking::Scan => None,
            };
            Ok(Self { start, len, pagemap, protector, regions: vec![Region::default(); 256] })
        }

        /// Adds the pages, counted from the start, that may have been written since they were last reported. `faults`:
        /// page faults of the threads that ran the instance since.
        pub fn written(&mut self, faults: u64, pages: &mut Vec<Range<usize>>) -> io::Result<()> {
            if self.protector.is_some() {
                let written = Categories { all: PAGE_IS_WRITTEN, none: 0, any: 0 };
                self.scan(&written, pages)
            } else if faults > 0 {
                self.private(pages)
            } else {
                Ok(())
            }
        }

        /// Adds all pages that are private copies.
        pub fn private(&mut self, pages: &mut Vec<Range<usize>>) -> io::Result<()> {
            // userfaultfd's marks on pages that were never touched look like swapped ones.
            let swapped = if self.protector.is_some() { 0 } else { PAGE_IS_SWAPPED };
            let any = PAGE_IS_PRESENT | swapped;
            self.scan(&Categories { all: 0, none: PAGE_IS_FILE | PAGE_IS_PFNZERO, any }, pages)
        }

        fn scan(&mut self, want: &Categories, pages: &mut Vec<Range<usize>>) -> io::Result<()> {
            let mut at = self.start;
            let end = self.start + self.len;
            while at < end {
                let mut arguments = ScanArguments {
                    size: size_of::<ScanArguments>() as u64,
                    start: at,
                    end,
                    regions: self.regions.as_mut_ptr().addr() as u64,
                    regions_len: self.regions.len() as u64,
                    category_inverted: want.none,
                    category_mask: want.all | want.none,
                    category_anyof_mask: want.any,
                    // Neighbours with different answers would be regions of their own.
                    return_mask: want.all,
                    ..ScanArguments::default()
                };
                let found = ioctl(&self.pagemap, PAGEMAP_SCAN, &mut arguments)?;
                for region in &self.regions[..found] {
                    let page = |address: u64| usize::try_from((address - self.start) / PAGE as u64);
                    let inside = |_| io::Error::other("PAGEMAP_SCAN names a page beyond the memory");
                    pages.push(page(region.start).map_err(inside)?..page(region.end).map_err(inside)?);
                }
                if arguments.walk_end <= at {
                    return Err(io::Error::other("PAGEMAP_SCAN does not move on"));
                }
                at = arguments.walk_end;
            }
            Ok(())
        }
    }

    fn protector(start: u64, len: u64) -> io::Result<OwnedFd> {
        let flags = libc::O_CLOEXEC | libc::O_NONBLOCK | UFFD_USER_MODE_ONLY;
        // SAFETY: the call takes flags and gives a new descriptor, or a negative number.
        let descriptor = unsafe { libc::syscall(libc::SYS_userfaultfd, flags) };
        let descriptor = i32::try_from(descriptor).map_err(io::Error::other)?;
        if descriptor < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: a descriptor that was just made, and that nobody else owns.
        let descriptor = unsafe { OwnedFd::from_raw_fd(descriptor) };
        let features = UFFD_FEATURE_WP_ASYNC | UFFD_FEATURE_WP_UNPOPULATED;
        ioctl(&descriptor, UFFDIO_API, &mut Api { version: UFFD_API, features, ioctls: 0 })?;
        let mut register = Register { start, len, mode: UFFDIO_REGISTER_MODE_WP, ioctls: 0 };
        ioctl(&descriptor, UFFDIO_REGISTER, &mut register)?;
        protect(&descriptor, start, len)?;
        Ok(descriptor)
    }

    fn protect(descriptor: &OwnedFd, start: u64, len: u64) -> io::Result<()> {
        ioctl(descriptor, UFFDIO_WRITEPROTECT, &mut WriteProtect { start, len, mode: UFFDIO_WRITEPROTECT_MODE_WP })?;
        Ok(())
    }

    /// Tries it: a kernel may know the request and yet not do what is needed.
    pub(super) fn self_test(way: Tracking) -> bool {
        const PAGES: usize = 64;
        let test = || -> io::Result<bool> {
            use std::io::Write as _;
            let mut file = unnamed_file()?;
            file.write_all(&vec![7; PAGES * PAGE])?;
            // SAFETY: a new private mapping, unmapped below; the writes stay inside it.
            unsafe {
                let protection = libc::PROT_READ | libc::PROT_WRITE;
                let flags = libc::MAP_PRIVATE;
                let start =
                    libc::mmap(std::ptr::null_mut(), PAGES * PAGE, protection, flags, file.as_raw_fd(), 0).cast::<u8>();
                if start.cast() == libc::MAP_FAILED {
                    return Err(io::Error::last_os_error());
                }
                let result = (|| {
                    let mut seen = start.add(5 * PAGE).read_volatile();
                    let mut tracker = Tracker::new(way, start, PAGES * PAGE)?;
                    let mut pages = Vec::new();
                    tracker.written(1, &mut pages)?;
                    let clean = pages.is_empty();
                    let before = thread_faults();
                    for page in [3, 5, 6, 40] {
                        start.add(page * PAGE + page).write_volatile(1);
                    }
                    seen |= start.add(9 * PAGE).read_volatile();
                    let faults = thread_faults() - before;
                    tracker.written(faults, &mut pages)?;
                    let mut private = Vec::new();
                    tracker.private(&mut private)?;
                    let want = [3..4, 5..7, 40..41];
                    Ok(clean && seen == 7 && faults >= 4 && pages == want && private == want)
                })();
                libc::munmap(start.cast(), PAGES * PAGE);
                result
            }
        };
        test().unwrap_or(false)
    }
}
