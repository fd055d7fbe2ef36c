package graph

import "gorgonia.org/gorgonia"

// children lists the operands of n, in order.
func children(n *gorgonia.Node) gorgonia.Nodes {
	it := n.Graph().From(n.ID())
	if it == nil {
		return nil
	}
	out := make(gorgonia.Nodes, 0, it.Len())
	for it.Next() {
		out = append(out, it.Node().(*gorgonia.Node))
	}
	return out
}

// ancestors lists every node that the roots are computed from, the roots
// included, operands before results.
func ancestors(roots ...*gorgonia.Node) gorgonia.Nodes {
	var out gorgonia.Nodes
	seen := map[*gorgonia.Node]bool{}
	// An explicit stack: a deep model must not exhaust the goroutine's.
	type frame struct {
		n    *gorgonia.Node
		next gorgonia.Nodes
	}
	for _, root := range roots {
		if seen[root] {
			continue
		}
		seen[root] = true
		stack := []frame{{root, children(root)}}
		for len(stack) > 0 {
			top := &stack[len(stack)-1]
			if len(top.next) == 0 {
				out = append(out, top.n)
				stack = stack[:len(stack)-1]
				continue
			}
			c := top.next[0]
			top.next = top.next[1:]
			if !seen[c] {
				seen[c] = true
				stack = append(stack, frame{c, children(c)})
			}
		}
	}
	return out
}

func isLeaf(n *gorgonia.Node) bool { return n.Op() == nil }
