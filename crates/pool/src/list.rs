//! Doubly linked lists through the entries of an arena: every operation takes constant time and allocates nothing, and an
//! entry can leave from the middle. The idle servers and the waiters of a pool are such lists.

use crate::arena::Arena;
use crate::ids::Id;

/// What an entry carries to be a member of one list at a time.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Links {
    prev: Option<Id>,
    next: Option<Id>,
}

/// An entry that has links.
pub(crate) trait Linked {
    fn links(&self) -> &Links;
    fn links_mut(&mut self) -> &mut Links;
}

/// The two ends and the length of a list.
#[derive(Debug, Default)]
pub(crate) struct List {
    front: Option<Id>,
    back: Option<Id>,
    len: u32,
}

impl List {
    pub(crate) fn front(&self) -> Option<Id> {
        self.front
    }

    pub(crate) fn back(&self) -> Option<Id> {
        self.back
    }

    pub(crate) fn len(&self) -> u32 {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(crate) fn push_front<T: Linked>(&mut self, arena: &mut Arena<T>, id: Id) {
        let old = self.front.replace(id);
        link(arena, None, Some(id));
        link(arena, Some(id), old);
        if old.is_none() {
            self.back = Some(id);
        }
        self.len += 1;
    }

    pub(crate) fn push_back<T: Linked>(&mut self, arena: &mut Arena<T>, id: Id) {
        let old = self.back.replace(id);
        link(arena, Some(id), None);
        link(arena, old, Some(id));
        if old.is_none() {
            self.front = Some(id);
        }
        self.len += 1;
    }

    /// Takes a member out. The caller knows that `id` is in this list. Its own links stay as they are: a push sets both.
    pub(crate) fn remove<T: Linked>(&mut self, arena: &mut Arena<T>, id: Id) {
        let Some(links) = arena.get(id).map(|entry| *entry.links()) else { return };
        if self.front == Some(id) {
            self.front = links.next;
        }
        if self.back == Some(id) {
            self.back = links.prev;
        }
        link(arena, links.prev, links.next);
        self.len -= 1;
    }
}

/// Makes two entries neighbours; an end of the list is `None`.
fn link<T: Linked>(arena: &mut Arena<T>, left: Option<Id>, right: Option<Id>) {
    if let Some(entry) = left.and_then(|id| arena.get_mut(id)) {
        entry.links_mut().next = right;
    }
    if let Some(entry) = right.and_then(|id| arena.get_mut(id)) {
        entry.links_mut().prev = left;
    }
}

/// The neighbour of a member in the direction of the front.
pub(crate) fn toward_front<T: Linked>(arena: &Arena<T>, id: Id) -> Option<Id> {
    arena.get(id)?.links().prev
}

/// The neighbour of a member in the direction of the back.
pub(crate) fn toward_back<T: Linked>(arena: &Arena<T>, id: Id) -> Option<Id> {
    arena.get(id)?.links().next
}
