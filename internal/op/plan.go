package op

import (
	"slices"

	"gorgonia.org/gorgonia"

	"github.com/gorget/gorget/internal/kernel"
)

// ShareBuffers lets results of this package's ops that are never needed at the
// same time share memory. order is the order in which the machine runs the
// nodes, operands gives a node's operands, and the results of the nodes in
// keep stay valid to the end of a run. It must be called before the first run.
//
// An op reads nothing but its operands and its private state, so a result is
// needed from the node that writes it to the last node that has it as operand.
// A foreign op may hand on its operand's memory as its own result (Gorgonia's
// elementwise ops do), so there the need passes to the foreign node's readers.
func ShareBuffers(order gorgonia.Nodes, operands func(*gorgonia.Node) gorgonia.Nodes, keep map[*gorgonia.Node]bool) {
	p := plan{born: map[*gorgonia.Node]int{}, dies: map[*gorgonia.Node]int{}}
	for i, n := range order {
		p.born[n] = i
		if _, ok := n.Op().(getterOp); ok {
			p.born[n] = p.born[operands(n)[0]] // the backward op wrote it
		}
	}
	// From the last node to the first, so that a foreign node's own end is
	// known when it is handed on to its operands.
	for i := len(order) - 1; i >= 0; i-- {
		n := order[i]
		p.dies[n] = max(p.dies[n], i)
		if keep[n] {
			p.dies[n] = len(order)
		}
		end := i
		if _, own := n.Op().(interface{ ownsResult() }); !own {
			end = p.dies[n]
		}
		for _, c := range operands(n) {
			p.dies[c] = max(p.dies[c], end)
		}
	}
	share[float32](order, p)
	share[float64](order, p)
}

// plan tells the first and the last position at which a result is needed.
type plan struct{ born, dies map[*gorgonia.Node]int }

// ownsResult marks the ops of this package: their result is never an operand.
func (*base) ownsResult() {}

type getterOp interface{ isGetter() }

func (*getter[T]) isGetter() {}

// planned is an op whose result is a buffer that it hands out.
type planned[T kernel.Float] interface{ result() *buffer[T] }

func (f *forward[T]) result() *buffer[T] { return &f.y }

func (b *backward[T]) result() *buffer[T] { return b.grads.of[b.first] }

func (g *getter[T]) result() *buffer[T] { return g.of }

// slab is memory that several results use one after the other.
type slab[T kernel.Float] struct {
	size  int
	until int // the last position at which it is taken
	users []*buffer[T]
}

// share places the results of type T, in order of birth: into the smallest
// free slab that is large enough, else into the largest free one, which grows,
// else into a new one.
func share[T kernel.Float](order gorgonia.Nodes, p plan) {
	type need struct {
		b          *buffer[T]
		size       int
		born, dies int
	}
	var needs []need
	for _, n := range order {
		o, ok := n.Op().(planned[T])
		if !ok {
			continue
		}
		if b := o.result(); !b.private && b.value == nil && !b.shape.IsScalar() {
			needs = append(needs, need{b, b.shape.TotalSize(), p.born[n], p.dies[n]})
		}
	}
	slices.SortStableFunc(needs, func(a, b need) int { return a.born - b.born })

	var slabs []*slab[T]
	for _, n := range needs {
		var best *slab[T]
		for _, s := range slabs {
			if s.until < n.born && (best == nil || fits(s.size, best.size, n.size)) {
				best = s
			}
		}
		if best == nil {
			best = &slab[T]{}
			slabs = append(slabs, best)
		}
		best.size, best.until = max(best.size, n.size), n.dies
		best.users = append(best.users, n.b)
	}
	for _, s := range slabs {
		memory := make([]T, s.size)
		for _, b := range s.users {
			b.data = memory[:b.shape.TotalSize()]
			b.value = wrap(b.data, b.shape)
		}
	}
}

// fits reports whether a slab of size a is the better place for n elements
// than one of size b.
func fits(a, b, n int) bool {
	if a >= n && b >= n {
		return a < b
	}
	return a > b
}
