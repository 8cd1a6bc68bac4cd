from nas.graph.space import read_space
from nas.graph.superops import super_operators


def test_super_operators_of_shipped_spaces():
    assert super_operators(read_space("darts").operators) == []
    assert super_operators(read_space("darts+ir+sandglass").operators) == ["ir_3x3_t6", "sandglass_3x3_t6"]
    assert super_operators(read_space("darts+variant_a").operators) == ["variant_a_3x3_t6"]
