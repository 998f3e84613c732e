"""References from a teacher: asked, executed, verified, the best kept."""
