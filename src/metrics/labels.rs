//! Closed lists of label values, and counts by them.

/// Gives enums, whose variants are the values of a label, the list of them and their texts.
macro_rules! closed_lists {
    ($($name:ident),+) => {$(
        impl $name {
            /// Every value, in the order of the exposition.
            pub const ALL: &[Self] = <Self as strum::VariantArray>::VARIANTS;

            /// The value of the label.
            pub fn label(self) -> &'static str {
                self.into()
            }
        }
    )+};
}

pub(crate) use closed_lists;

/// Adds one to the count at `index`.
pub(super) fn count(counts: &mut [u64], index: usize) {
    if let Some(count) = counts.get_mut(index) {
        *count += 1;
    }
}
