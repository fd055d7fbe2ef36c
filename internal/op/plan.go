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

// need is a result that wants a place: its elements, and the first and last
// position at which it is needed.
type need[T kernel.Float] struct {
	b          *buffer[T]
	size, at   int // elements, rounded up; offset in the arena
	born, dies int
}

func (n *need[T]) overlaps(m *need[T]) bool { return n.born <= m.dies && m.born <= n.dies }

// share places the results of type T in one arena: the largest first, each at
// the lowest offset where nothing lies that is needed at the same time ("greedy
// by size" of Pisarchyk and Lee 2020, arXiv:2001.03288). What is kept to the end
// has no one to share with and gets memory of its own at the first run.
func share[T kernel.Float](order gorgonia.Nodes, p plan) {
	const line = 16 // elements: results begin on cache lines of their own
	var needs []*need[T]
	for _, n := range order {
		o, ok := n.Op().(planned[T])
		if !ok || p.dies[n] == len(order) {
			continue
		}
		if b := o.result(); !b.private && b.value == nil && !b.shape.IsScalar() {
			size := (b.shape.TotalSize() + line - 1) / line * line
			needs = append(needs, &need[T]{b: b, size: size, born: p.born[n], dies: p.dies[n]})
		}
	}
	slices.SortStableFunc(needs, func(a, b *need[T]) int { return b.size - a.size })
	arena := 0
	var placed []*need[T] // by offset
	for _, n := range needs {
		n.at = 0
		for _, m := range placed {
			if n.overlaps(m) {
				if n.at+n.size <= m.at {
					break // fits into the gap before m
				}
				n.at = max(n.at, m.at+m.size)
			}
		}
		i, _ := slices.BinarySearchFunc(placed, n.at, func(m *need[T], at int) int { return m.at - at })
		placed = slices.Insert(placed, i, n)
		arena = max(arena, n.at+n.size)
	}
	memory := make([]T, arena)
	for _, n := range needs {
		n.b.data = memory[n.at:][:n.b.shape.TotalSize():n.size]
		n.b.value = wrap(n.b.data, n.b.shape)
	}
}
