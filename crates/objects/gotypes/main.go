// Facts about the Go types of the Kubernetes API, which decide what a typed client sends.
//
//	go mod tidy && go run . types > ../src/typed/types.txt
//	go run . normalise < ../tests/normalise/in.jsonl > ../tests/normalise/flux.jsonl
//
// `types` prints the table that ../src/typed.rs reads. `normalise` prints each object, one in a line of JSON, as
// Flux normalises it.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"sort"
	"strings"

	"github.com/fluxcd/pkg/ssa/normalize"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/kubernetes/scheme"
)

var codes = map[reflect.Type]string{
	reflect.TypeOf(metav1.Time{}):        "t",
	reflect.TypeOf(metav1.MicroTime{}):   "m",
	reflect.TypeOf(metav1.Duration{}):    "d",
	reflect.TypeOf(resource.Quantity{}):  "q",
	reflect.TypeOf(intstr.IntOrString{}): "x",
}

var (
	ids   = map[reflect.Type]int{}
	lines []string
)

type marshaler interface{ MarshalJSON() ([]byte, error) }

var marshalerType = reflect.TypeOf((*marshaler)(nil)).Elem()

func code(t reflect.Type) string {
	if c, ok := codes[t]; ok {
		return c
	}
	if t.Kind() != reflect.Ptr && (t.Implements(marshalerType) || reflect.PointerTo(t).Implements(marshalerType)) {
		return "r"
	}
	switch t.Kind() {
	case reflect.String:
		return "s"
	case reflect.Bool:
		return "b"
	case reflect.Int, reflect.Int32, reflect.Int64, reflect.Uint8, reflect.Uint32, reflect.Uint64:
		return "i"
	case reflect.Float32, reflect.Float64:
		return "f"
	case reflect.Interface:
		return "r"
	case reflect.Ptr:
		return "*" + code(t.Elem())
	case reflect.Map:
		return "{" + code(t.Elem())
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return "y"
		}
		return "[" + code(t.Elem())
	case reflect.Struct:
		return fmt.Sprint(structure(t))
	}
	panic(t.String())
}

func structure(t reflect.Type) int {
	if id, ok := ids[t]; ok {
		return id
	}
	id := len(lines)
	ids[t] = id
	lines = append(lines, "")
	lines[id] = strings.Join(fields(t), " ")
	return id
}

func fields(t reflect.Type) (all []string) {
	for i := 0; i < t.NumField(); i++ {
		f := t.Field(i)
		tag := strings.Split(f.Tag.Get("json"), ",")
		if tag[0] == "-" {
			continue
		}
		if tag[0] == "" {
			all = append(all, fields(f.Type)...)
			continue
		}
		flag := "!"
		for _, option := range tag[1:] {
			if option == "omitzero" {
				flag = "?"
			} else if option == "omitempty" && f.Type.Kind() != reflect.Struct {
				flag = "-"
			}
		}
		all = append(all, tag[0]+flag+code(f.Type))
	}
	return all
}

func types() {
	byKind := map[string]reflect.Type{}
	var kinds []string
	for gvk, t := range scheme.Scheme.AllKnownTypes() {
		_, isObject := reflect.New(t).Interface().(metav1.Object)
		if !isObject || gvk.Version == "__internal" || strings.Contains(gvk.Version, "alpha") {
			continue
		}
		kind := gvk.GroupVersion().String() + " " + gvk.Kind
		byKind[kind] = t
		kinds = append(kinds, kind)
	}
	sort.Strings(kinds)
	for _, kind := range kinds {
		fmt.Printf("%s %d\n", kind, structure(byKind[kind]))
	}
	fmt.Println()
	for _, line := range lines {
		fmt.Println(line)
	}
}

func normalise() {
	scanner := bufio.NewScanner(os.Stdin)
	scanner.Buffer(nil, 64<<20)
	for scanner.Scan() {
		object := &unstructured.Unstructured{}
		if err := object.UnmarshalJSON(scanner.Bytes()); err != nil {
			panic(err)
		}
		objects := []*unstructured.Unstructured{object}
		if err := normalize.UnstructuredList(objects); err != nil {
			panic(err)
		}
		text, err := json.Marshal(object.Object)
		if err != nil {
			panic(err)
		}
		fmt.Println(string(text))
	}
}

func main() {
	if os.Args[1] == "types" {
		types()
	} else {
		normalise()
	}
}
