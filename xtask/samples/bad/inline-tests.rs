//! Tests in the file that they test.

#[cfg(test)]
mod tests {
    #[test]
    fn holds() {
        assert_eq!(1 + 1, 2);
    }
}
