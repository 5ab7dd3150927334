//! Heaps against a model: a vector of bytes for each state that somebody sees.

use std::sync::{
    Barrier,
    atomic::{AtomicBool, Ordering},
};

use proptest::prelude::*;

use super::*;

/// Largest heap of these tests: a few chunks.
const LARGEST: usize = 8 * CHUNK;

fn heap(size: usize) -> Heap {
    HeapCreator::prepare().unwrap();
    let heap = Heap::new(LARGEST, 0).unwrap();
    grow(&heap, size);
    heap
}

fn grow(heap: &Heap, size: usize) {
    Linear(heap.clone()).grow_to(size).unwrap();
}

/// Writes as a canister does, by way of the fault handler.
fn write(heap: &Heap, offset: usize, bytes: &[u8]) {
    assert!(offset + bytes.len() <= heap.size());
    // SAFETY: within the heap, which this thread alone runs on.
    unsafe { heap.0.window.write(offset, bytes) };
}

fn read(heap: &Heap, range: Range<usize>) -> &[u8] {
    assert!(range.end <= heap.size());
    // SAFETY: within the heap, which this thread alone runs on.
    unsafe { heap.0.window.bytes(range) }
}

/// A heap for a query, on the state of the last commit.
fn twin(owner: &Heap, size: usize) -> Heap {
    let twin = heap(size);
    twin.join(&owner.file().unwrap()).unwrap();
    twin
}

#[test]
fn only_the_pages_that_a_message_writes_are_copied_and_its_chunks_looked_at() {
    let heap = heap(6 * CHUNK);
    write(&heap, 0, &[1; 6 * CHUNK]);
    heap.commit().unwrap();
    assert_eq!(heap.0.tracker.dirty(), []);

    assert_eq!(read(&heap, 0..6 * CHUNK), vec![1; 6 * CHUNK]);
    assert_eq!(
        heap.0.tracker.dirty(),
        [],
        "reading what was committed touches nothing"
    );
    write(&heap, 10, &[2]);
    write(&heap, 4 * CHUNK - 1, &[2; 2]);
    assert_eq!(heap.0.tracker.dirty(), [0..CHUNK, 3 * CHUNK..5 * CHUNK]);
    assert_eq!(
        heap.written().unwrap(),
        [0..PAGE, 4 * CHUNK - PAGE..4 * CHUNK + PAGE]
    );
    heap.rollback().unwrap();
    assert_eq!(heap.0.tracker.dirty(), []);
    assert_eq!(read(&heap, 0..6 * CHUNK), vec![1; 6 * CHUNK]);
}

#[test]
fn what_was_never_written_takes_no_memory_however_far_the_heap_has_grown() {
    let heap = heap(7 * CHUNK + WASM_PAGE);
    heap.commit().unwrap();
    assert_eq!(heap.file().unwrap().spans().held(), 0);
    // Read, and written by messages that fail.
    assert_eq!(read(&heap, 0..7 * CHUNK), vec![0; 7 * CHUNK]);
    write(&heap, 5 * CHUNK, &[1; CHUNK]);
    heap.rollback().unwrap();
    heap.commit().unwrap();
    assert_eq!(heap.file().unwrap().spans().held(), 0);
    let blocks = |heap: &Heap| {
        use std::os::unix::fs::MetadataExt as _;
        heap.file().unwrap().file().metadata().unwrap().blocks()
    };
    assert_eq!(blocks(&heap), 0);
    write(&heap, 3 * CHUNK + 5, &[1]);
    heap.commit().unwrap();
    assert_eq!(heap.file().unwrap().spans().held(), CHUNK as u64);
    assert_eq!(
        read(&heap, 0..7 * CHUNK)
            .iter()
            .filter(|byte| **byte != 0)
            .count(),
        1
    );
    heap.commit().unwrap();
    assert_eq!(heap.file().unwrap().spans().held(), CHUNK as u64);
    // Reading takes no more than the chunk that counts as held.
    assert!(blocks(&heap) * 512 <= CHUNK as u64);
}

#[test]
fn a_heap_that_is_opened_and_closed_again_and_again_stays_few_mappings() {
    let mappings = |heap: &Heap| {
        let (start, end) = (
            heap.0.window.base() as usize,
            heap.0.window.base() as usize + LARGEST,
        );
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        maps.lines()
            .filter(|line| {
                let at = line.split('-').next().unwrap();
                (start..end).contains(&usize::from_str_radix(at, 16).unwrap())
            })
            .count()
    };
    let heap = heap(7 * CHUNK);
    write(&heap, 0, &[1; 5 * CHUNK]);
    heap.commit().unwrap();
    let few = mappings(&heap);
    assert!(few <= 3, "{few}");
    for round in 0..40 {
        for chunk in [1, 3, 5, 6, 0, 2, 4] {
            if (round + chunk) % 3 == 0 {
                write(&heap, chunk * CHUNK + 7, &[2]);
            }
        }
        if round % 2 == 0 {
            heap.rollback().unwrap();
        } else {
            heap.commit().unwrap();
        }
        let now = mappings(&heap);
        // Two parts of the file, two without, and what is beyond the size.
        assert!(now <= 5, "{now} after round {round}");
    }
}

#[test]
fn a_query_sees_one_state_while_commits_go_on_beside_it() {
    const PAGES: usize = 2 * CHUNK / PAGE;
    let owner = heap(2 * CHUNK);
    let fill = |generation: u8| {
        for page in 0..PAGES {
            write(&owner, page * PAGE + 8, &[generation]);
        }
    };
    fill(0);
    owner.commit().unwrap();
    let done = AtomicBool::new(false);
    let begin = Barrier::new(3);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let twin = heap(2 * CHUNK);
                begin.wait();
                let mut last = 0;
                while !done.load(Ordering::Relaxed) {
                    twin.join(&owner.file().unwrap()).unwrap();
                    let first = read(&twin, 8..9)[0];
                    assert!(first >= last, "an older state than before");
                    last = first;
                    for page in 0..PAGES {
                        let at = page * PAGE + 8;
                        assert_eq!(read(&twin, at..at + 1)[0], first, "page {page}");
                        // What it writes is its own.
                        write(&twin, at, &[first]);
                        write(&twin, page * PAGE, &[255]);
                    }
                    twin.leave().unwrap();
                    std::thread::yield_now();
                }
            });
        }
        begin.wait();
        for generation in 1..=50 {
            fill(generation);
            owner.commit().unwrap();
            assert_eq!(read(&owner, 0..1)[0], 0);
        }
        done.store(true, Ordering::Relaxed);
    });
}

#[derive(Clone, Debug)]
enum Step {
    Write { at: usize, len: usize, value: u8 },
    Grow,
    Commit,
    Rollback,
    Join,
    TwinWrite { twin: usize, at: usize, value: u8 },
    Compare { twin: usize },
    Checkpoint { twin: usize },
    Restore { twin: usize },
    Leave { twin: usize },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let at = 0..LARGEST;
    let twin = 0..4_usize;
    let len = prop_oneof![4 => 1..200_usize, 1 => PAGE..5 * PAGE, 1 => CHUNK..CHUNK + 3 * PAGE];
    let value = 1..=255_u8;
    let step = prop_oneof![
        8 => (at.clone(), len, value.clone())
            .prop_map(|(at, len, value)| Step::Write { at, len, value }),
        2 => Just(Step::Grow),
        4 => Just(Step::Commit),
        2 => Just(Step::Rollback),
        2 => Just(Step::Join),
        6 => (twin.clone(), at, value)
            .prop_map(|(twin, at, value)| Step::TwinWrite { twin, at, value }),
        2 => twin.clone().prop_map(|twin| Step::Compare { twin }),
        2 => twin.clone().prop_map(|twin| Step::Checkpoint { twin }),
        2 => twin.clone().prop_map(|twin| Step::Restore { twin }),
        1 => twin.prop_map(|twin| Step::Leave { twin }),
    ];
    proptest::collection::vec(step, 1..60)
}

/// A query under way: its heap, what it must show, and what it showed at its checkpoint.
struct Model {
    heap: Heap,
    bytes: Vec<u8>,
    checkpoint: Option<(HeapCheckpoint, Vec<u8>)>,
}

fn same(heap: &Heap, bytes: &[u8]) -> Result<(), TestCaseError> {
    let own = read(heap, 0..bytes.len());
    if own != bytes {
        let at = own.iter().zip(bytes).position(|(a, b)| a != b);
        return Err(TestCaseError::fail(format!("differs at {at:?}")));
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn everybody_sees_what_a_vector_of_bytes_would_show(steps in steps()) {
        let mut owner = heap(WASM_PAGE);
        let mut committed = vec![0; WASM_PAGE];
        let mut bytes = committed.clone();
        owner.commit().unwrap();
        let mut twins: Vec<Model> = Vec::new();
        for step in steps {
            match step {
                Step::Write { at, len, value } => {
                    let at = at % bytes.len();
                    let len = len.min(bytes.len() - at);
                    bytes[at..at + len].fill(value);
                    write(&owner, at, &vec![value; len]);
                }
                Step::Grow => {
                    let size = (bytes.len() * 2 + WASM_PAGE).min(LARGEST);
                    bytes.resize(size, 0);
                    grow(&owner, size);
                }
                Step::Commit => {
                    owner.commit().unwrap();
                    committed.clone_from(&bytes);
                }
                Step::Rollback if bytes.len() == committed.len() => {
                    owner.rollback().unwrap();
                    bytes.clone_from(&committed);
                }
                Step::Rollback => {
                    let file = owner.file().unwrap();
                    owner = heap(committed.len());
                    owner.attach(file).unwrap();
                    bytes.clone_from(&committed);
                }
                Step::Join if twins.len() < 4 => twins.push(Model {
                    heap: twin(&owner, committed.len()),
                    bytes: committed.clone(),
                    checkpoint: None,
                }),
                Step::Join => {}
                Step::TwinWrite { twin, at, value } => if let Some(twin) = twins.get_mut(twin) {
                    let at = at % twin.bytes.len();
                    twin.bytes[at] = value;
                    write(&twin.heap, at, &[value]);
                },
                Step::Compare { twin } => if let Some(twin) = twins.get(twin) {
                    same(&twin.heap, &twin.bytes)?;
                },
                Step::Checkpoint { twin } => if let Some(twin) = twins.get_mut(twin) {
                    twin.checkpoint = Some((twin.heap.checkpoint().unwrap(), twin.bytes.clone()));
                },
                Step::Restore { twin } => if let Some(twin) = twins.get_mut(twin)
                    && let Some((checkpoint, bytes)) = &twin.checkpoint
                {
                        twin.heap.restore(checkpoint).unwrap();
                        twin.bytes.clone_from(bytes);
                },
                // The last one is used again, as an idle instance is.
                Step::Leave { twin } => if twin < twins.len() {
                    let mut left = twins.remove(twin);
                    left.heap.leave().unwrap();
                    grow(&left.heap, committed.len());
                    left.heap.join(&owner.file().unwrap()).unwrap();
                    left.bytes.clone_from(&committed);
                    left.checkpoint = None;
                    same(&left.heap, &left.bytes)?;
                    twins.push(left);
                },
            }
        }
        same(&owner, &bytes)?;
        for twin in &twins {
            same(&twin.heap, &twin.bytes)?;
        }
        // What was committed is in the file, and nothing else is.
        let copy = heap(committed.len());
        copy.attach(owner.file().unwrap()).unwrap();
        same(&copy, &committed)?;
        let image = HeapFile::of(&owner.file().unwrap().pages().unwrap(), LARGEST).unwrap();
        let copy = heap(LARGEST);
        copy.attach(image).unwrap();
        same(&copy, &committed)?;
        for twin in twins {
            twin.heap.leave().unwrap();
        }
    }
}
