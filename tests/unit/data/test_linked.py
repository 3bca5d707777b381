from twinfolio.data.linked import Forest, linked


def test_a_forest_names_each_tree_by_its_lowest_index():
    forest = Forest(6)
    assert forest.join(5, 3)
    assert forest.join(3, 1)
    assert not forest.join(1, 5)
    assert forest.firsts().tolist() == [0, 1, 2, 1, 4, 1]


def test_a_key_in_common_links_along_any_chain():
    pages = ["p", "p", "q", "r", "s"]
    copies = [0, 1, 1, 2, 3]
    assert linked(pages).tolist() == [0, 0, 2, 3, 4]
    assert linked(pages, copies).tolist() == [0, 0, 0, 3, 4]
    assert linked(pages, copies, [7, 8, 9, 8, 6]).tolist() == [0, 0, 0, 0, 4]
