//! Whole trees that are wrong, and trees that grow and shrink.

use std::collections::BTreeMap;

use crate::support::{self, Party, Service, now};
use indus_mls::{
    Hash, Key, LeafNodeSource, MemoryTree, MlsError, Node, NodeChange, Nodes, group, tree,
};
use openmls::prelude::MlsGroup;
use rand::{RngExt, SeedableRng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;

/// A group of `size`, all added by the first, then an update of the first.
fn grown(size: usize) -> (Party, MlsGroup, Service) {
    let creator = Party::new("0");
    let mut group = creator.create();
    let mut service = Service::create(&creator.group_info(&group));
    let adds = (1..size)
        .map(|name| Party::new(&name.to_string()).key_package())
        .collect();
    service.accept(&creator.commit(&mut group, adds, &[], true));
    creator.merge(&mut group);
    (creator, group, service)
}

/// What is wrong with the service's tree when these nodes are others.
fn changed(service: &Service, change: impl Fn(u32, &mut Option<Node>)) -> Option<MlsError> {
    let tree = &service.tree;
    let changes: Vec<_> = (0..2 * tree.width() - 1)
        .map(|index| {
            let mut node = tree.node(index);
            change(index, &mut node);
            NodeChange {
                index,
                node,
                hash: tree.hash(index),
            }
        })
        .collect();
    let mut other = MemoryTree::default();
    other.apply(tree.width(), &changes);
    MemoryTree::from_ratchet_tree(&tree::ratchet_tree(&other), &service.state.group_id).err()
}

#[test]
fn parents_are_bound_to_a_leaf_and_leaves_to_their_signatures() {
    let (_, _, service) = grown(8);
    assert_eq!(changed(&service, |_, _| {}), None);
    let parents: Vec<u32> = (0..15)
        .filter(|index| matches!(service.tree.node(*index), Some(Node::Parent(_))))
        .collect();
    assert_eq!(parents, [1, 3, 7]);
    for parent in parents {
        let wrong = changed(&service, |index, node| {
            if let Some(Node::Parent(node)) = node
                && index == parent
            {
                node.encryption_key[0] ^= 1;
            }
        });
        assert_eq!(wrong, Some(MlsError::ParentHash(parent)));
    }
    for leaf in 0..8 {
        let wrong = changed(&service, |index, node| {
            if let Some(Node::Leaf(node)) = node
                && index == 2 * leaf
            {
                node.identity.push(0);
            }
        });
        assert_eq!(wrong, Some(MlsError::Signature("leaf node")));
    }
    // A leaf in another place: the one with a path is signed with its index, others are not.
    let moved = |index: u32, node: &mut Option<Node>, from: u32, to: u32| {
        if index == 2 * from || index == 2 * to {
            *node = service.tree.node(2 * from + 2 * to - index);
        }
    };
    let wrong = changed(&service, |index, node| moved(index, node, 0, 5));
    assert_eq!(wrong, Some(MlsError::Signature("leaf node")));
    let leaf = service.tree.node(0).unwrap();
    assert!(matches!(
        leaf.leaf().unwrap().source,
        LeafNodeSource::Commit(Some(_))
    ));
    // The sibling's subtree is in the parent hash.
    let wrong = changed(&service, |index, node| moved(index, node, 5, 6));
    assert_eq!(wrong, Some(MlsError::ParentHash(7)));
    // A blank parent on the way, and a node twice.
    let wrong = changed(&service, |index, node| {
        if index == 3 {
            *node = None;
        }
    });
    assert_eq!(wrong, Some(MlsError::ParentHash(7)));
    let wrong = changed(&service, |index, node| {
        if index == 14 {
            *node = service.tree.node(12);
        }
    });
    assert_eq!(wrong, Some(MlsError::EncryptionKey));
}

#[test]
fn unmerged_leaves_are_members_below_in_order() {
    let (creator, mut group, mut service) = grown(7);
    let add = vec![Party::new("late").key_package()];
    service.accept(&creator.commit(&mut group, add, &[], false));
    creator.merge(&mut group);
    let unmerged = |index| match service.tree.node(index) {
        Some(Node::Parent(parent)) => parent.unmerged_leaves,
        _ => vec![],
    };
    assert_eq!(unmerged(7), [7]);
    for leaves in [vec![7, 7], vec![8], vec![7, 6], vec![0], vec![4, u32::MAX]] {
        let wrong = changed(&service, |index, node| {
            if let Some(Node::Parent(node)) = node
                && index == 7
            {
                node.unmerged_leaves = leaves.clone();
            }
        });
        assert_eq!(wrong, Some(MlsError::UnmergedLeaves(7)), "{leaves:?}");
    }
    let wrong = changed(&service, |index, node| {
        if let Some(Node::Parent(node)) = node
            && index == 7
        {
            node.unmerged_leaves = vec![];
        }
    });
    assert_eq!(wrong, Some(MlsError::ParentHash(7)));
}

#[test]
fn types_shapes_and_ends() {
    let (_, _, service) = grown(3);
    let group_id = &service.state.group_id;
    let read = |nodes: &[&[u8]]| {
        MemoryTree::from_ratchet_tree(&support::vector(&nodes.concat()), group_id)
            .map(|tree| tree.width())
    };
    let node = |index| [&[1], &*service.tree.node(index).unwrap().to_bytes()].concat();
    assert_eq!(read(&[]), Err(MlsError::TreeShape));
    assert_eq!(read(&[&[0]]), Err(MlsError::TreeShape));
    assert_eq!(read(&[&node(2)]), Ok(1));
    assert_eq!(read(&[&node(2), &[0]]), Err(MlsError::TreeShape));
    assert_eq!(read(&[&node(2), &[0], &node(4)]), Ok(2));
    assert_eq!(read(&[&node(2), &node(4)]), Err(MlsError::NodeType(1)));
    assert_eq!(read(&[&node(1)]), Err(MlsError::NodeType(0)));
    assert_eq!(read(&[&vec![0; 200_000]]), Err(MlsError::TreeFull));
    assert!(matches!(read(&[&[2]]), Err(MlsError::Undefined { .. })));
}

#[test]
fn a_commit_touches_its_paths_only() {
    let (creator, mut group, mut service) = grown(64);
    assert_eq!(service.tree.width(), 64);
    let accepted = service.accept(&creator.commit(&mut group, vec![], &[], true));
    creator.merge(&mut group);
    let touched: Vec<u32> = accepted.changes.iter().map(|change| change.index).collect();
    assert_eq!(touched, [0, 1, 3, 7, 15, 31, 63]);
    // The one that doubles it brings a half, with a hash for each node.
    let add = vec![Party::new("late").key_package()];
    let accepted = service.accept(&creator.commit(&mut group, add, &[], false));
    creator.merge(&mut group);
    assert_eq!(accepted.width, 128);
    assert_eq!(accepted.added[0].index, 64);
    assert_eq!(accepted.changes.len(), 128);
    // And when the right half goes, so do the nodes.
    let removes: Vec<u32> = (5..65).collect();
    let accepted = service.accept(&creator.commit(&mut group, vec![], &removes, true));
    creator.merge(&mut group);
    assert_eq!(accepted.width, 8);
    assert_eq!(service.tree.width(), 8);
    service.audit();
}

/// A tree of encoded nodes, which has no indices: what is the least that a keeper does.
#[derive(Default)]
struct Encoded {
    width: u32,
    nodes: BTreeMap<u32, (Option<Vec<u8>>, Hash)>,
}

impl Encoded {
    fn apply(&mut self, width: u32, changes: &[NodeChange]) {
        self.width = width;
        self.nodes.retain(|index, _| *index < 2 * width - 1);
        for change in changes {
            let node = change.node.as_ref().map(Node::to_bytes);
            self.nodes.insert(change.index, (node, change.hash));
        }
    }
}

impl Nodes for Encoded {
    fn width(&self) -> u32 {
        self.width
    }

    fn node(&self, index: u32) -> Option<Node> {
        let bytes = self.nodes[&index].0.as_ref()?;
        Some(Node::from_bytes(bytes).unwrap())
    }

    fn hash(&self, index: u32) -> Hash {
        self.nodes[&index].1
    }

    fn has_key(&self, key: &Key) -> bool {
        self.nodes
            .keys()
            .filter_map(|index| self.node(*index))
            .any(|node| node.encryption_key() == key)
    }
}

#[test]
fn a_keeper_without_indices_accepts_the_same() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let creator = Party::new("0");
    let mut group = creator.create();
    let group_info = creator.group_info(&group);
    let created = group::create(&group_info, now()).unwrap();
    let mut encoded = Encoded::default();
    encoded.apply(created.width, &created.changes);
    let mut service = Service::create(&group_info);
    let mut others: Vec<u32> = Vec::new();
    for round in 0..40 {
        let adds = (0..rng.random_range(0..6))
            .map(|name| Party::new(&format!("{round} {name}")).key_package())
            .collect();
        // All of them now and then.
        let most = if round % 10 == 9 { others.len() } else { 4 };
        let removes: Vec<u32> = others.sample(&mut rng, most).copied().collect();
        let bundle = creator.commit(&mut group, adds, &removes, true);
        let accepted = group::commit(
            &service.state,
            &encoded,
            &bundle.commit,
            &bundle.group_info,
            now(),
        )
        .unwrap();
        assert_eq!(service.accept(&bundle), accepted);
        creator.merge(&mut group);
        encoded.apply(accepted.width, &accepted.changes);
        assert_eq!(encoded.nodes.len(), 2 * accepted.width as usize - 1);
        assert_eq!(tree::ratchet_tree(&encoded), service.ratchet_tree());
        others.retain(|leaf| !removes.contains(leaf));
        others.extend(accepted.added.iter().map(|added| added.index));
    }
    service.audit();
}
