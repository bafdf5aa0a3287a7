//! Encoded rows in little memory.

/// Rows encoded by [`super::Modal`]: a track of scalars or choices a span, never one-hot.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Compact {
    pub rows: usize,
    /// In the order of [`super::Modal::spans`].
    pub tracks: Vec<Track>,
}

/// One span of all rows.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Track {
    /// In -1..1; 0 where the choice is no Gaussian.
    Scalar(Vec<f32>),
    /// Place within the span.
    Choice(Vec<u16>),
}
