//! Information loss that searches make small.

/// What an exhaustive search makes as small as possible.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Loss {
    /// Normalised certainty penalty (Xu et al. 2006): the mean over rows and columns of what a value is blurred to,
    /// leaves below its node less one over all leaves less one; a dropped row counts 1.
    #[default]
    Ncp,
    /// Discernibility (Bayardo & Agrawal 2005): the sum of the squared sizes of the classes; a dropped row counts as many
    /// as there are rows.
    Discernibility,
    /// Non-uniform entropy (de Waal & Willenborg 1999): the bits lost, minus the sum of log2 of the share of each value
    /// among those of its node; a dropped row loses all bits of its values.
    Entropy,
}

/// Names in SQL.
pub const LOSSES: &[&str] = &["ncp", "discernibility", "entropy"];

impl Loss {
    /// The loss of that name.
    pub fn find(name: &str) -> Option<Self> {
        match name {
            "ncp" => Some(Self::Ncp),
            "discernibility" => Some(Self::Discernibility),
            "entropy" => Some(Self::Entropy),
            _ => None,
        }
    }
}
