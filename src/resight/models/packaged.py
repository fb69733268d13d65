"""What comes with the installation."""

DEFAULT_BACKBONE = "tf_efficientnet_lite0"
"""The backbone whose ImageNet weights come with the installation."""
