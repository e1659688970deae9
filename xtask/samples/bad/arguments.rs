//! Six arguments beside `self`.

trait Wide {
    fn wide(&self, a: u8, b: u8, c: u8, d: u8, e: u8, f: u8);
}
