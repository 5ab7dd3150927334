//! Asks the kernel which pages of a private mapping have been written.
//!
//! A page that was written is present (or swapped out) and no longer a page of the file, nor the page of
//! zeros that untouched anonymous memory shows. Linux 6.7 lists
//! such ranges with the `PAGEMAP_SCAN` ioctl; older kernels tell it page by page in `/proc/self/pagemap`
//! (Documentation/admin-guide/mm/pagemap.rst).
#![allow(unsafe_code)]

use std::{
    fs::File,
    io,
    ops::Range,
    os::{fd::AsRawFd as _, unix::fs::FileExt as _},
    sync::OnceLock,
};

use super::mapping::page_size;

/// `struct pm_scan_arg` of `linux/fs.h`.
#[repr(C)]
struct ScanArgs {
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

/// `struct page_region` of `linux/fs.h`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Region {
    start: u64,
    end: u64,
    categories: u64,
}

const PAGE_IS_FILE: u64 = 1 << 2;
const PAGE_IS_PRESENT: u64 = 1 << 3;
const PAGE_IS_SWAPPED: u64 = 1 << 4;
/// `PAGE_IS_PFNZERO`.
const PAGE_IS_ZEROS: u64 = 1 << 5;
/// `_IOWR('f', 16, struct pm_scan_arg)`.
const PAGEMAP_SCAN: u64 = (3 << 30) | ((size_of::<ScanArgs>() as u64) << 16) | (0x66 << 8) | 16;
/// Regions that one scan returns at most; a longer list takes several.
const REGIONS: usize = 512;

fn pagemap() -> io::Result<&'static File> {
    static PAGEMAP: OnceLock<File> = OnceLock::new();
    if let Some(file) = PAGEMAP.get() {
        return Ok(file);
    }
    let file = File::open("/proc/self/pagemap")?;
    Ok(PAGEMAP.get_or_init(|| file))
}

/// Written ranges of the private mapping at `addresses` (page-aligned), in order, as offsets from its start.
///
/// Kernels without `PAGEMAP_SCAN` count pages of anonymous memory that were only read as written.
pub(super) fn written(addresses: Range<usize>) -> io::Result<Vec<Range<usize>>> {
    static SCAN_WORKS: OnceLock<bool> = OnceLock::new();
    if *SCAN_WORKS.get().unwrap_or(&true) {
        match scan(&addresses) {
            Ok(ranges) => {
                let _ = SCAN_WORKS.set(true);
                return Ok(ranges);
            }
            Err(error) if matches!(error.raw_os_error(), Some(libc::ENOTTY | libc::EINVAL)) => {
                let _ = SCAN_WORKS.set(false);
            }
            Err(error) => return Err(error),
        }
    }
    read(&addresses)
}

fn scan(addresses: &Range<usize>) -> io::Result<Vec<Range<usize>>> {
    let mut ranges = Vec::new();
    let mut regions = [Region::default(); REGIONS];
    let mut start = addresses.start as u64;
    let end = addresses.end as u64;
    while start < end {
        let mut args = ScanArgs {
            size: size_of::<ScanArgs>() as u64,
            flags: 0,
            start,
            end,
            walk_end: 0,
            regions: regions.as_mut_ptr() as u64,
            regions_len: REGIONS as u64,
            max_pages: 0,
            category_inverted: PAGE_IS_FILE | PAGE_IS_ZEROS,
            category_mask: PAGE_IS_FILE | PAGE_IS_ZEROS,
            category_anyof_mask: PAGE_IS_PRESENT | PAGE_IS_SWAPPED,
            return_mask: PAGE_IS_PRESENT,
        };
        // SAFETY: the request number carries the size of `ScanArgs`; the kernel writes at most
        // `regions_len` regions into `regions`, and `walk_end` into `args`; both outlive the call.
        let found = unsafe { libc::ioctl(pagemap()?.as_raw_fd(), PAGEMAP_SCAN, &raw mut args) };
        let found = usize::try_from(found).map_err(|_| io::Error::last_os_error())?;
        for region in &regions[..found] {
            push(
                &mut ranges,
                offset(region.start, addresses),
                offset(region.end, addresses),
            );
        }
        if args.walk_end <= start {
            break;
        }
        start = args.walk_end;
    }
    Ok(ranges)
}

fn read(addresses: &Range<usize>) -> io::Result<Vec<Range<usize>>> {
    const PRESENT: u64 = 1 << 63;
    const SWAPPED: u64 = 1 << 62;
    const FILE_OR_SHARED: u64 = 1 << 61;
    let page = page_size();
    let mut ranges = Vec::new();
    let mut entries = vec![0_u8; 8 * 4096];
    let mut at = addresses.start;
    while at < addresses.end {
        let pages = ((addresses.end - at) / page).min(entries.len() / 8);
        let bytes = &mut entries[..pages * 8];
        pagemap()?.read_exact_at(bytes, (at / page * 8) as u64)?;
        for (index, entry) in bytes.chunks_exact(8).enumerate() {
            let entry = u64::from_ne_bytes(entry.try_into().unwrap_or_default());
            if entry & (PRESENT | SWAPPED) != 0 && entry & FILE_OR_SHARED == 0 {
                let start = at + index * page - addresses.start;
                push(&mut ranges, start, start + page);
            }
        }
        at += pages * page;
    }
    Ok(ranges)
}

#[allow(
    clippy::cast_possible_truncation,
    reason = "an address of this process fits a usize"
)]
fn offset(address: u64, addresses: &Range<usize>) -> usize {
    address as usize - addresses.start
}

/// Appends a range, joined to the last one where they touch.
fn push(ranges: &mut Vec<Range<usize>>, start: usize, end: usize) {
    match ranges.last_mut() {
        Some(last) if last.end == start => last.end = end,
        _ => ranges.push(start..end),
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::mapping::{Window, memory_file},
        *,
    };

    #[test]
    fn both_ways_of_asking_list_exactly_the_written_pages() {
        const LEN: usize = 1 << 22;
        let page = page_size();
        let file = memory_file(c"test").unwrap();
        file.set_len(LEN as u64).unwrap();
        let window = Window::new(LEN, 0).unwrap();
        window.map_file(0..LEN, &file).unwrap();
        window.allow(0..LEN).unwrap();
        for at in [0, page, 7 * page + 5, LEN - 1] {
            // SAFETY: the range is mapped, writable, and this test's own.
            unsafe { window.base().add(at).write(1) };
        }
        // Reading a page does not make it a written one.
        // SAFETY: as above.
        assert_eq!(unsafe { window.base().add(20 * page).read() }, 0);
        let expected = [0..2 * page, 7 * page..8 * page, LEN - page..LEN];
        let addresses = window.base() as usize..window.base() as usize + LEN;
        assert_eq!(read(&addresses).unwrap(), expected);
        assert_eq!(written(addresses).unwrap(), expected);
    }
}
