from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable

from twinset.report import Cost, CostOfThousand, ReportData, render

MakeData = Callable[..., ReportData]


def table_of(data: ReportData) -> list[list[str]] | None:
    """Cells of the table of what 1,000 images take, row by row; None where there is none."""
    found = re.search(r"What 1,000 accepted images take</span></caption>(.*?)</table>", render(data), re.DOTALL)
    if found is None:
        return None
    rows = re.findall(r"<tr>(.*?)</tr>", found[1], re.DOTALL)
    cells = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL) for row in rows]
    return [[re.sub(r"<[^>]+>", "", cell) for cell in row] for row in cells]


def with_cost(data: ReportData, *rows: CostOfThousand, labelling: float | None = None) -> ReportData:
    assert isinstance(data.cost, Cost)
    return dataclasses.replace(data, cost=dataclasses.replace(data.cost, thousand=rows, labelling=labelling))


def test_hours_prices_energy_and_labelling_stand_in_one_table(report_data: MakeData) -> None:
    rows = CostOfThousand("making", 1.5, 1234.5, 0.25), CostOfThousand("the next 1,000", 0.1, 0.5)
    assert table_of(with_cost(report_data(), *rows, labelling=40.0)) == [
        ["Part", "Time", "Price", "kWh"],
        ["making", "1 h 30 min", "1,234.50", "0.250"],
        ["the next 1,000", "6 min 0 s", "0.50", "–"],
        ["labelling by hand, for reference", "–", "40.00", "–"],
    ]


def test_columns_are_there_for_what_is_known(report_data: MakeData) -> None:
    assert table_of(with_cost(report_data(), CostOfThousand("making", 1.5))) == [
        ["Part", "Time"],
        ["making", "1 h 30 min"],
    ]
    assert table_of(with_cost(report_data())) is None
