"""The direction of A2M against a quadratic loss, of which gradient and Hessian are known."""

import torch

from nas.search.method import AlphaGradients
from nas.search.methods import build_method


def test_the_direction():
    torch.manual_seed(0)
    half = torch.randn(6, 6).double()
    hessian, linear, alpha = half + half.T, torch.randn(6).double(), torch.randn(6).double()

    def gradient(at):
        a = alpha if at is None else at["normal"].flatten()
        return {"normal": (hessian @ a + linear).reshape(2, 3)}

    asked = AlphaGradients({"normal": alpha.reshape(2, 3)}, gradient, lambda at: None, {})
    found = build_method("a2m", {"a2m": {"rho": 0.2}}).alpha_gradient(asked)["normal"].flatten()
    at = alpha + 0.2 * (hessian @ alpha + linear)
    uphill = hessian @ at + linear
    torch.testing.assert_close(found, uphill + 0.2 * hessian @ uphill)
